"""Messages counted in a file and in Redis, by many processes at once."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.gateways import RedisServer
from tests.support.pins import LIMITS
from trex.errors import TooManyAttempts
from trex.sms.counts import FileCounts, _times
from trex.sms.send import open_counts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["file", "redis", "socket"])
def state(request: pytest.FixtureRequest, place: Path, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file:{tmp_path}/counts"
        return
    server = RedisServer(tmp_path)
    yield server.url if request.param == "redis" else server.socket_url
    server.close()


def add(state: str, user: str, ready: object, counted: object) -> None:
    ready.wait()  # type: ignore[attr-defined]
    try:
        open_counts(state).add(user, "host", 1, LIMITS)
    except TooManyAttempts:
        return
    counted.put(user)  # type: ignore[attr-defined]


def test_a_hundred_attempts_at_once_send_no_more_than_the_limit(state: str) -> None:
    fork = multiprocessing.get_context("fork")
    ready, counted = fork.Event(), fork.SimpleQueue()
    users = ["alice", "bob"] * 50
    processes = [fork.Process(target=add, args=(state, user, ready, counted)) for user in users]
    for process in processes:
        process.start()
    ready.set()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0, "each of them was counted or refused, and none left alone"
    sent = []
    while not counted.empty():
        sent.append(counted.get())
    assert len(sent) == 11
    assert max(sent.count("alice"), sent.count("bob")) <= 7


@pytest.mark.parametrize("has_locks", [True, False])
def test_nobody_else_counts_between_counting_and_adding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_locks: bool
) -> None:
    """A hundred at once rarely meet in that moment, so the test prolongs it."""

    def count_slowly(
        rows: list[tuple[float, str]], user: str, name: str, now: float
    ) -> list[float]:
        counted = _times(rows, user, name, now)
        time.sleep(0.05)
        return counted

    monkeypatch.setattr("trex.sms.counts._times", count_slowly)
    if not has_locks:
        monkeypatch.setattr("trex.sms.counts.take_turn", lambda *_: False)
    sent = []

    def send(_: int) -> None:
        with contextlib.suppress(TooManyAttempts):
            FileCounts(f"{tmp_path}/counts").add("bob", "a", 1, {"user_hour": 1})
            sent.append(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    assert len(sent) == 1


def test_several_messages_count_all_or_none(state: str) -> None:
    counts = open_counts(state)
    counts.add("bob", "a", 5, LIMITS)
    with pytest.raises(TooManyAttempts, match="user_hour = 7"):
        counts.add("bob", "a", 3, LIMITS)
    counts.add("bob", "a", 2, LIMITS)
    with pytest.raises(TooManyAttempts, match="user_hour = 7"):
        counts.add("bob", "a", 1, LIMITS)
    counts.add("alice", "a", 4, LIMITS)
    with pytest.raises(TooManyAttempts, match="host_hour = 11"):
        counts.add("alice", "a", 1, LIMITS)


@pytest.mark.parametrize("messages", [1, 3, 8])
def test_what_is_reached_is_what_counting_refuses(state: str, messages: int) -> None:
    """`trex doctor` calls the one, a login the other; and the first changes nothing."""
    counts = open_counts(state)
    for number in range(14):
        user = ("alice", "bob")[number % 2]
        for name, most in LIMITS.items():
            reached = counts.reached(user, "a", messages, {name: most})
            assert set(reached) == set(counts.reached(user, "a", messages, {name: most}))
            with contextlib.ExitStack() as refused:
                if reached:
                    refused.enter_context(pytest.raises(TooManyAttempts, match=name))
                    counts.add(user, "a", messages, {name: most})
            if messages > most:
                assert reached == {name: None}
            elif reached:
                span = 3600 if name.endswith("hour") else 86400
                assert reached == {name: pytest.approx(span, abs=60)}
        if not counts.reached(user, "a", 1, LIMITS):
            counts.add(user, "a", 1, LIMITS)
    assert set(counts.reached("bob", "a", 1, LIMITS)) == {"host_hour"}


def test_when_a_limit_ends_it_ends(state: str) -> None:
    """The wait is for the first message over the limit, not for the newest or the oldest."""
    limits = {"user_hour": 3}
    counts = open_counts(state)
    counts.add("bob", "a", 3, limits)
    age(state, "bob", [3000, 2000, 1000])
    for messages, wait in ((1, 600), (2, 1600), (3, 2600)):
        assert counts.reached("bob", "a", messages, limits) == {
            "user_hour": pytest.approx(wait, abs=60)
        }
    assert counts.reached("bob", "a", 4, limits) == {"user_hour": None}
    age(state, "bob", [3700, 2000, 1000])
    assert counts.reached("bob", "a", 1, limits) == {}


def age(state: str, user: str, seconds: list[int]) -> None:
    """Set the age of a user's messages, in the order in which they were sent."""
    now = time.time()
    if state.startswith("file:"):
        path = Path(state.removeprefix("file:"))
        assert path.read_text().count("\n") == len(seconds)
        path.write_text("".join(f"{now - old} {user}\n" for old in seconds))
        return
    import redis

    with redis.Redis.from_url(state) as server:
        key = f"trex:sms:user:{user}"
        names = sorted(server.zrange(key, 0, -1), key=int)
        server.zadd(key, {name: now - old for name, old in zip(names, seconds, strict=True)})


def test_hours_and_days_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, now = open_counts(f"file:{tmp_path}/counts"), time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    counts.add("bob", "a", 7, LIMITS)
    monkeypatch.setattr(time, "time", lambda: now + 3599)
    with pytest.raises(TooManyAttempts, match="user_hour"):
        counts.add("bob", "a", 1, LIMITS)
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    counts.add("bob", "a", 2, LIMITS)
    monkeypatch.setattr(time, "time", lambda: now + 8000)
    with pytest.raises(TooManyAttempts, match="user_day"):
        counts.add("bob", "a", 1, LIMITS)
    monkeypatch.setattr(time, "time", lambda: now + 90_005)
    counts.add("bob", "a", 7, LIMITS)


def test_what_was_counted_by_a_clock_far_ahead_does_not_count_for_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host without a battery for its clock; messages up to an hour ahead count."""
    counts, now = open_counts(f"file:{tmp_path}/counts"), time.time()
    for ahead, refused in ((3000, True), (4000, False), (10 * 365 * 86_400, False)):
        monkeypatch.setattr(time, "time", lambda ahead=ahead: now + ahead)
        counts.add("bob", "a", 7, LIMITS)
        monkeypatch.setattr(time, "time", lambda: now)
        with pytest.raises(TooManyAttempts) if refused else contextlib.nullcontext():
            counts.add("bob", "a", 1, LIMITS)
        Path(f"{tmp_path}/counts").unlink()
