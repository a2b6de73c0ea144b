"""`trex doctor` for what is counted and spent: limits, in a file and in Redis, and fleets."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, code, here
from tests.support.command import trex
from tests.support.examination import (
    TREX,
    by_http,
    checks,
    counts_of,
    defects,
    examine,
    found,
    said_end,
    secret,
    send,
    write_ssh_key,
    write_stack,
)
from tests.support.gateways import TOKEN, Gateway, RedisServer
from tests.support.pins import NUMBER, PHONES
from trex.sms.counts import FileCounts
from trex.sms.send import open_counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account


def test_limits_that_are_reached(sender: Account, configure: Callable[..., None], gateway: Gateway,
                                 place: Path) -> None:  # fmt: skip
    configure(by_http(gateway), before="[limits]\nuser_hour = 2\nhost_day = 4\nhost_hour = 3")
    send(place, "alice", 1)
    assert checks() == []
    send(place, "alice", 1)
    lines = [line.split(" ") for line in counts_of(place).read_text().splitlines()]
    counts_of(place).write_text("".join(f"{float(at) - 1800} {user}\n" for at, user in lines))
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
    assert found("sms-limit")["what"] == "alice: the limit user_day = 0 is reached, and never ends"


def test_what_a_clock_far_ahead_has_counted_reaches_no_limit(sender: Account, place: Path) -> None:
    counts = counts_of(place)
    send(place, "alice", 1)
    with counts.open("a") as stream:
        stream.write(f"{time.time() + 86400 * 365} alice\n" * 5)
    assert checks("--user", "alice") == []
    FileCounts(str(counts)).add("alice", "h", 4, {"user_hour": 5})  # a login sends as well
    shutil.chown(counts, "_trex-sms")
    assert FileCounts(str(counts)).reached("alice", "h", 1, {"user_hour": 5})


def test_limits_and_fleets_in_redis(
    sender: Account, configure: Callable[..., None], gateway: Gateway, redis_server: RedisServer
) -> None:
    configure(by_http(gateway), before="[limits]\nuser_hour = 2", state=redis_server.url)
    assert checks() == []
    open_counts(redis_server.url).add("alice", "another-host", 2, {})
    finding = found("sms-limit")
    assert "alice: the limit user_hour = 2 is reached, until " in finding["what"]
    assert said_end(finding["what"]) == pytest.approx(3600, abs=60)
    sender.write(secret(), FILE)
    write_stack("required {trex} method=totp fleet")
    assert checks() == []
    redis_server.close()
    finding = found("sms-state")
    assert finding["what"] == "state: Redis cannot be asked: ConnectionError"
    write_stack("requisite pam_unix.so", "required {trex} method=sms")
    assert found("sms-state")["severity"] == "error"
    assert TOKEN not in trex("doctor").stdout


def test_a_fleet_without_redis(sender: Account) -> None:
    sender.write(secret(), FILE)
    write_stack("required {trex} method=totp fleet")
    assert "expected a redis:// URL, which fleet needs" in found("totp-fleet")["what"]
    told = [f["what"] for f in examine(account=sender)["findings"]]
    assert "the Redis of the fleet: not checked" in told


def test_a_redis_that_takes_nothing(
    sender: Account,
    configure: Callable[..., None],
    gateway: Gateway,
    redis_server: RedisServer,
    client: Path,
) -> None:
    sender.write(secret(), FILE)
    configure(by_http(gateway), state=redis_server.url)
    database = redis.Redis.from_url(redis_server.url)
    stacks = [
        ("requisite pam_unix.so", "required {trex} method=sms"),
        ("required {trex} method=totp fleet",),
    ]
    for lines in stacks:
        write_stack(*lines)
        assert checks("--user", "alice") == []
    assert database.ttl("trex:doctor") <= 1, "what was tried is gone at once"
    database.config_set("min-replicas-to-write", 1)
    for lines in stacks:
        write_stack(*lines)
        [finding] = [one for one in defects("--user", "alice") if one["check"] == "sms-state"]
        assert finding["severity"] == "error"
        assert finding["what"].startswith("state: Redis cannot be asked: ")
    line = f"auth {stacks[1][0].format(trex=TREX)}"
    service = sandbox.pam_service("doctor-fleet", line, *ACCOUNT_LINES)
    asked = sandbox.ask_pam(client, service, "alice", "--answer", code(here()))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL", "the login says the same"


def connections(silent: socket.socket) -> int:
    count = 0
    try:
        while True:
            silent.accept()[0].close()
            count += 1
    except TimeoutError:
        return count


def test_a_redis_that_is_silent_is_waited_for_once(
    sender: Account,
    configure: Callable[..., None],
    gateway: Gateway,
    account: Callable[[str], Account],
) -> None:
    names = ["alice", "bob", "carol"]
    for name in names[1:]:
        account(name)
    PHONES.write_text("".join(f"{name} {NUMBER}\n" for name in names))
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.1)
        configure(by_http(gateway), state=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        for some in (names[:1], names):
            findings = examine(*(word for name in some for word in ("--user", name)))["findings"]
            said = [finding["check"] for finding in findings]
            assert (said.count("sms-state"), said.count("sms-number")) == (1, len(some))
            seen.append(connections(silent))
    assert seen[0] == seen[1] > 0


def test_no_code_is_spent_by_who_logs_in(
    sender: Account,
    configure: Callable[..., None],
    gateway: Gateway,
    account: Callable[[str], Account],
    redis_server: RedisServer,
    client: Path,
) -> None:
    """That process knows the URL of Redis, and so does every process of the same account."""
    configure(by_http(gateway), state=redis_server.url)
    bob = account("bob")
    for user in (sender, bob):
        user.write(secret(), FILE)
    line = f"auth required {TREX} method=totp fleet sms_user=alice"
    service = sandbox.pam_service("doctor-servant", line, *ACCOUNT_LINES)
    for name, verdict in (("alice", "PAM_AUTHINFO_UNAVAIL"), ("bob", "PAM_SUCCESS")):
        asked = sandbox.ask_pam(client, service, name, "--answer", code(here()))
        assert asked.verdict == verdict
    write_stack("required {trex} method=totp fleet sms_user=alice")
    write_ssh_key(bob)
    [finding] = defects("--user", "alice", "--user", "bob")
    assert (finding["check"], finding["severity"]) == ("totp-fleet", "error")
    assert finding["what"] == "alice: sms_user= is the account that logs in"
