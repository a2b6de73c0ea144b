"""Logins that reach a limit, or whose messages cannot be counted, send nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.gateways import TOKEN, Gateway, RedisServer
from tests.support.pins import Sms, by_http, patient_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account


def test_limits_of_a_user_and_of_the_host(account: Callable[[str], Account], sms: Sms) -> None:
    """ezauth #195, and SMS pumping: to one number or many, without a limit."""
    account("carol")
    sms.configure(by_http(sms.gateway), before="[limits]\nuser_hour = 2\nhost_day = 3")
    assert [sms().verdict for _ in range(3)] == ["PAM_SUCCESS"] * 2 + ["PAM_AUTHINFO_UNAVAIL"]
    assert "nothing is sent: the limit user_hour = 2 is reached" in sms.log.everything()
    assert [sms(user="carol").verdict for _ in range(2)] == ["PAM_SUCCESS", "PAM_AUTHINFO_UNAVAIL"]
    assert "nothing is sent: the limit host_day = 3 is reached" in sms.log.everything()
    assert len(sms.gateway.texts) == 3


@pytest.fixture(scope="module")
def patient(place: Path) -> str:
    """A service that has the time for ten senders at once on a busy machine."""
    return patient_service(60)


@pytest.mark.parametrize("kept", ["file", "redis"])
def test_of_many_logins_at_once_no_more_than_the_limit_send(
    bob: Account, gateway: Gateway, configure: Callable[..., None], client: Path, patient: str,
    tmp_path: Path, kept: str,
) -> None:  # fmt: skip
    """SMS pumping: an attacker who can make a host send one message sends thousands."""
    server = RedisServer(tmp_path) if kept == "redis" else None
    configure(
        by_http(gateway), before="[limits]\nuser_hour = 3", state=server.url if server else ""
    )

    def log_in(_: int) -> None:
        sandbox.ask_pam(client, patient, "bob", "--answer", "x", seconds=150)

    try:
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(log_in, range(10)))
    finally:
        if server:
            server.close()
    assert len(gateway.texts) == 3


def test_a_login_counts_in_redis_and_is_refused_without_it(sms: Sms, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    sms.configure(by_http(sms.gateway), state=server.url, before="[limits]\nuser_hour = 1")
    try:
        assert sms().verdict == "PAM_SUCCESS", sms.log.everything()
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "the limit user_hour = 1 is reached" in sms.log.everything()
    finally:
        server.close()
    sms.log.clear()
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    assert (
        "nothing is sent, because it cannot be counted: Redis cannot be asked" in sms.log.verdict()
    )
    assert len(sms.gateway.texts) == 1
    assert TOKEN not in sms.log.everything()


def test_counts_that_cannot_be_kept_send_nothing(sms: Sms) -> None:
    for state in ("file:/proc/counts", "file:/root/counts"):
        sms.log.clear()
        sms.configure(by_http(sms.gateway), state=state)
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "nothing is sent, because it cannot be counted: " in sms.log.verdict()
    assert sms.gateway.requests == []
