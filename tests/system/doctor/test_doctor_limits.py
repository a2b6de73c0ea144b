"""`trex doctor` for limits that are reached, in SQLite and in Redis, and for fleets."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.codes import FILE
from tests.command import trex
from tests.examination import by_http, checks, counts_of, examine, found, secret, send, write_stack
from tests.gateways import TOKEN, Gateway, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox import Account


def test_limits_that_are_reached(sender: Account, configure: Callable[..., None], gateway: Gateway,
                                 place: Path) -> None:  # fmt: skip
    configure(by_http(gateway), before="[limits]\nuser_hour = 2\nhost_day = 4\nhost_hour = 3")
    send(place, "alice", 1)
    assert checks() == []
    send(place, "alice", 1)
    with closing(sqlite3.connect(counts_of(place))) as database, database:
        database.execute("UPDATE message SET at = at - 1800")
    finding = found("sms-limit")
    assert "alice: the limit user_hour = 2 is reached, until " in finding["what"]
    assert said_end(finding["what"]) == pytest.approx(1800, abs=60)
    assert finding["severity"] == "error"
    send(place, "bob", 1)
    whats = [f["what"] for f in examine()["findings"] if f["check"] == "sms-limit"]
    assert [what.partition(" is ")[0] for what in whats] == [
        "this host: the limit host_hour = 3", "alice: the limit user_hour = 2",
    ]  # fmt: skip
    configure(by_http(gateway), before="[limits]\nuser_day = 0")
    assert found("sms-limit")["what"] == "alice: the limit user_day = 0 is reached, for ever"


def said_end(what: str) -> float:
    """Return in how many seconds a limit ends."""
    text = what.partition("until ")[2]
    if " " not in text:
        text = time.strftime("%Y-%m-%d ") + text
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")) - time.time()


def test_limits_and_fleets_in_redis(
    sender: Account, configure: Callable[..., None], gateway: Gateway, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    configure(by_http(gateway), before="[limits]\nuser_hour = 2", state=server.url)
    from trex.sms.counts import open_counts

    try:
        assert checks() == []
        open_counts(server.url).add("alice", "another-host", 2, {})
        finding = found("sms-limit")
        assert "alice: the limit user_hour = 2 is reached, until " in finding["what"]
        assert said_end(finding["what"]) == pytest.approx(3600, abs=60)
        sender.write(secret(), FILE)
        write_stack("required {trex} method=totp fleet")
        assert checks() == []
    finally:
        server.close()
    finding = found("sms-state")
    assert finding["what"] == "state: Redis cannot be asked: ConnectionError"
    write_stack("requisite pam_unix.so", "required {trex} method=sms")
    assert found("sms-state")["severity"] == "error"
    assert TOKEN not in trex("doctor").stdout


def test_a_fleet_without_redis(sender: Account) -> None:
    sender.write(secret(), FILE)
    write_stack("required {trex} method=totp fleet")
    assert "with `fleet` a redis:// URL is meant" in found("totp-fleet")["what"]
    told = [f["what"] for f in examine(account=sender)["findings"]]
    assert "the Redis of the fleet: not looked at" in told
