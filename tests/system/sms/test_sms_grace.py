"""grace_period= with PINs: nothing is sent to a user who is not asked."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.grace import DAY, HOME, OFFICE, PLACE, UNASKED
from tests.support.pins import NUMBER, PHONES, PIN, Sms, by_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_grace_left() -> Iterator[None]:
    yield
    shutil.rmtree(PLACE, ignore_errors=True)


def test_a_pin_is_sent_once_until_the_number_is_another(
    sms: Sms, client: Path, service: Callable[..., str]
) -> None:
    sms.configure(by_http(sms.gateway))
    day = service("method=sms", DAY)

    def sent_from(host: str) -> bool:
        sms.log.clear()
        before = len(sms.gateway.texts)
        asked = sandbox.ask_pam(client, day, "bob", "--answer-with", PIN, "--rhost", host)
        assert asked.verdict == "PAM_SUCCESS"
        sent = len(sms.gateway.texts) > before
        assert sent != (UNASKED in sms.log.verdict())
        return sent

    assert [sent_from(HOME), sent_from(HOME), sent_from(OFFICE)] == [True, False, True]
    PHONES.write_text(PHONES.read_text().replace(NUMBER, "+33687654321"))
    assert sent_from(HOME)
