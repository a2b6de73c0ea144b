"""Processes that send and that ask Redis: the application gets no SIGCHLD for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.codes import FILE, text
from tests.support.pins import by_http

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gateways import Gateway, RedisServer
    from tests.support.sandbox import Account, Asked

CALLERS = ("--wait-sigchld", "--note-sigchld", "--block-sigchld")


def assert_undisturbed(asked: Asked) -> None:
    assert asked.numbers("child-signals") == [0]
    assert asked.facts["own-child"] == ["kept"]
    assert asked.facts["changed"] == ["nothing"]


@pytest.mark.parametrize("caller", CALLERS)
def test_a_pin_is_sent_without_a_signal_for_the_caller(
    bob: Account, ask: Callable[..., Asked], gateway: Gateway, configure: Callable[..., None],
    caller: str,
) -> None:  # fmt: skip
    configure(by_http(gateway))
    asked = ask("bob", caller, "--state", "--answer", "x", arguments=("method=sms",))
    assert asked.verdict == "PAM_AUTH_ERR"
    assert_undisturbed(asked)


@pytest.mark.parametrize("caller", CALLERS)
def test_a_code_is_claimed_without_a_signal_for_the_caller(
    bob: Account, ask: Callable[..., Asked], configure: Callable[..., None],
    redis_server: RedisServer, caller: str,
) -> None:  # fmt: skip
    configure(state=redis_server.url)
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    arguments = ("method=totp", "fleet")
    asked = ask("bob", caller, "--state", "--answer", "12345678", arguments=arguments)
    assert asked.verdict == "PAM_SUCCESS"
    assert_undisturbed(asked)
