"""A host that sends PINs, and a user with a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.pins import NUMBER, PHONES, Sms, sending_account, write_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.gateways import Authority, Gateway
    from tests.support.sandbox import Account, Asked, Log


@pytest.fixture(scope="module")
def servant(place: Path) -> Iterator[str]:
    with sending_account(place / "counts") as name:
        yield name


@pytest.fixture
def bob(account: Callable[[str], Account], servant: str, place: Path) -> Account:
    for old in (place / "counts").iterdir():
        old.unlink()
    (place / "last-message").unlink(missing_ok=True)
    PHONES.write_text(f"# whose is whose\ncarol +4930123456\nbob {NUMBER}  # mobile\n")
    return account("bob")


@pytest.fixture
def configure(authority: Authority, place: Path) -> Callable[..., None]:
    return write_settings(authority, place / "counts/counts")


@pytest.fixture
def sms(
    bob: Account,
    ask: Callable[..., Asked],
    gateway: Gateway,
    configure: Callable[..., None],
    log: Log,
) -> Sms:
    return Sms(ask, gateway, configure, log)
