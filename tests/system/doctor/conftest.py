"""Hosts on which the doctor finds nothing wrong: one that asks for codes, one that sends PINs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.codes import FILE
from tests.support.examination import by_http, secret, write_stack
from tests.support.pins import NUMBER, PHONES, sending_account, write_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.gateways import Authority, Gateway
    from tests.support.sandbox import Account


@pytest.fixture
def coder(host: Account) -> Account:
    """A user with codes from a phone, on a sound host."""
    write_stack("required {trex} method=totp")
    host.write(secret(), FILE)
    return host


@pytest.fixture
def configure(authority: Authority, place: Path) -> Callable[..., None]:
    return write_settings(authority, place / "doctor-counts/counts")


@pytest.fixture
def sender(
    host: Account, place: Path, configure: Callable[..., None], gateway: Gateway
) -> Iterator[Account]:
    """A user with a number on a host that can send."""
    with sending_account(place / "doctor-counts"):
        PHONES.write_text(f"# whose is whose\nalice {NUMBER}\n")
        PHONES.chmod(0o600)
        configure(by_http(gateway))
        write_stack("requisite pam_unix.so", "required {trex} method=sms")
        yield host
