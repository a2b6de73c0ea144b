"""Messages are counted in one step, before they are sent, in a file and in a real Redis."""

from __future__ import annotations

import fcntl
import gc
import os
import re
import signal
import socket
import tempfile
import time
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.support.forked import in_a_child
from tests.support.gateways import TOKEN, RedisServer
from trex.errors import TooManyAttempts
from trex.sms import counts, fleet
from trex.sms.counts import DAY, HOUR, FileCounts
from trex.sms.errors import StateUnusable
from trex.sms.fleet import RedisCounts
from trex.sms.send import open_counts
from trex.system import rewriting
from trex.system.rewriting import TURN_SECONDS

if os.geteuid() != 0:
    pytest.skip("some of these files are root's", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The library leaves a socket open that it could not connect. Collect it here, not at some later
# moment in a test of another file, which would fail because of it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("collected"),
]
SPANS = {"user_hour": 3600, "user_day": 86400, "host_hour": 3600, "host_day": 86400}


@pytest.fixture
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with closing(RedisServer(tmp_path_factory.mktemp("redis"))) as one:
        yield one


@pytest.fixture
def direct(server: RedisServer) -> Iterator[redis.Redis]:
    with closing(redis.Redis.from_url(server.url)) as client:
        client.flushall()
        yield client


def rows(path: Path) -> list[tuple[float, str]]:
    pairs = [line.split(" ", 1) for line in path.read_text().splitlines()]
    return [(float(at), user) for at, user in pairs]


def written(path: Path, *messages: tuple[float, str]) -> None:
    path.write_text("".join(f"{at:.6f} {user}\n" for at, user in messages))


def refused(path: Path, user: str, messages: int, name: str, most: int) -> bool:
    """Tell whether a limit refuses, and check that nothing is counted then."""
    before = rows(path)
    try:
        FileCounts(str(path)).add(user, "", messages, {name: most})
    except TooManyAttempts as error:
        assert str(error) == f"nothing is sent: the limit {name} = {most} is reached"
        assert rows(path) == before
        return True
    assert len(rows(path)) >= messages
    return False


def test_the_clock_is_read_when_the_turn_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that waits for it would otherwise count at an old time."""
    path, clock, tried = tmp_path / "counts", time.time, []
    FileCounts(str(path)).add("bob", "", 1, {})

    def read_clock() -> float:
        with path.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tried.append(1)
        return clock()

    monkeypatch.setattr(time, "time", read_clock)
    FileCounts(str(path)).add("bob", "", 1, {"user_hour": 5})
    with pytest.raises(TooManyAttempts):
        FileCounts(str(path)).add("bob", "", 1, {"user_hour": 2})
    assert len(tried) == 2
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it is released, also after a refusal


def test_a_turn_that_does_not_come_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that holds it may be stopped. `trex doctor` does not wait for it."""
    assert TURN_SECONDS == 1.0
    path = tmp_path / "counts"
    FileCounts(str(path)).add("bob", "", 1, {})
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with monkeypatch.context() as patch:
            patch.setattr(rewriting, "sleep", lambda _: pytest.fail("it waits"))
            assert FileCounts(str(path)).reached("bob", "", 1, {"user_hour": 1})
        monkeypatch.setattr(counts, "TURN_SECONDS", 0.1)
        begun = time.monotonic()
        FileCounts(str(path)).add("bob", "", 1, {"user_hour": 2})
        assert 0.1 <= time.monotonic() - begun < 30
    assert len(rows(path)) == 2


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_who_waits_a_moment_counts_what_was_written_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    """Not the file's old content: it may have become shorter, too."""
    path = tmp_path / "counts"
    FileCounts(str(path)).add("bob", "", before, {})
    other = path.open()
    fcntl.flock(other, fcntl.LOCK_EX)

    def write_and_end(_: float) -> None:
        new = tmp_path / "new"
        written(new, *[(time.time(), "bob")] * after)
        new.rename(path)
        other.close()

    monkeypatch.setattr(counts, "TURN_SECONDS", 60)
    monkeypatch.setattr(rewriting, "sleep", write_and_end)
    with pytest.raises(TooManyAttempts) if after == 2 else nullcontext():
        FileCounts(str(path)).add("bob", "", 1, {"user_hour": 2})
    assert len(rows(path)) == 2


def test_who_is_overtaken_counts_again_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, times = tmp_path / "counts", [1]
    FileCounts(str(path)).add("bob", "", 1, {})

    def overtaken(*arguments: Any) -> None:
        if times[0] > 0:
            times[0] -= 1
            content = path.read_text()
            path.unlink()
            path.write_text(f"{content}{time.time()} bob\n")
        rewriting.replace(*arguments)

    monkeypatch.setattr(counts, "replace", overtaken)
    with pytest.raises(TooManyAttempts):
        FileCounts(str(path)).add("bob", "", 1, {"user_hour": 2})
    assert len(rows(path)) == 2
    times[0] = 1
    FileCounts(str(path)).add("bob", "", 1, {"user_hour": 4})
    assert len(rows(path)) == 4
    times[0] = 1000
    monkeypatch.setattr("trex.system.rewriting.sleep", lambda _: None)
    with pytest.raises(StateUnusable, match="cannot be used: too many logins count at once"):
        FileCounts(str(path)).add("bob", "", 1, {})


def test_a_name_may_have_any_character_that_names_have(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    for name in ("domain users", "jürgen", "b\udcff", " x ", "x\x85y\u2028z"):
        FileCounts(str(path)).add(name, "", 1, {"user_hour": 1})
        with pytest.raises(TooManyAttempts):
            FileCounts(str(path)).add(name, "", 1, {"user_hour": 1})
    assert path.read_bytes().count(b"\n") == 5
    assert path.stat().st_mode & 0o7777 == 0o600


def test_a_limit_counts_what_is_less_old_than_its_span_and_no_more(tmp_path: Path) -> None:
    assert counts.SPANS == SPANS
    assert (HOUR, DAY) == (3600, 86400)
    path, now = tmp_path / "counts", time.time()
    for name, span in SPANS.items():
        path.unlink(missing_ok=True)
        written(path, (now - span + 60, "bob"))
        assert refused(path, "bob", 1, name, 1), name
        assert not refused(path, "bob", 1, name, 2), name
        path.unlink()
        written(path, (now - span - 60, "bob"))
        assert not refused(path, "bob", 1, name, 1), name


def test_a_user_s_limit_counts_a_user_s_messages_and_the_host_s_all(tmp_path: Path) -> None:
    path, now = tmp_path / "counts", time.time()
    for name in SPANS:
        path.unlink(missing_ok=True)
        written(path, (now - 60, "carol"), (now - 60, "carol"))
        assert refused(path, "bob", 1, name, 2) == name.startswith("host")
        assert refused(path, "carol", 1, name, 2)


def test_messages_are_counted_all_or_none_and_for_who_they_are(tmp_path: Path) -> None:
    path, before = tmp_path / "counts", time.time()
    open_before = os.listdir("/proc/self/fd")
    for _ in range(2):
        path.unlink(missing_ok=True)
        FileCounts(str(path)).add("bob", "", 1, {})
        FileCounts(str(path)).add("bob", "", 1, {"user_hour": 2, "host_day": 2})
    assert os.listdir("/proc/self/fd") == open_before
    assert [user for _, user in rows(path)] == ["bob"] * 2
    assert all(before <= at <= time.time() for at, _ in rows(path))
    assert refused(path, "carol", 1, "host_day", 2)
    assert refused(path, "bob", 4, "user_hour", 5)
    assert not refused(path, "bob", 3, "user_hour", 5)


def test_what_is_over_a_day_old_or_far_ahead_is_deleted(tmp_path: Path) -> None:
    path, now = tmp_path / "counts", time.time()
    kept = [(now - DAY + 60, "a"), (now + HOUR - 60, "b")]
    written(path, (now - DAY - 60, "x"), (now + HOUR + 60, "y"), *kept)
    FileCounts(str(path)).add("c", "", 1, {})
    assert [user for _, user in rows(path)] == ["a", "b", "c"]
    path.unlink()
    written(path, (now + HOUR - 60, "bob"), (now + HOUR + 60, "bob"))
    for name in SPANS:
        assert set(FileCounts(str(path)).reached("bob", "", 1, {name: 1})) == {name}
        assert FileCounts(str(path)).reached("bob", "", 1, {name: 2}) == {}, (
            "as the next message does"
        )


def test_which_limits_are_reached_and_for_how_long(tmp_path: Path) -> None:
    path, now = tmp_path / "counts", time.time()
    nothing_yet = FileCounts(str(path)).reached(
        "bob", "", 3, {"user_hour": 2, "user_day": 3, "host_day": 4}
    )
    assert nothing_yet == {"user_hour": None}
    assert not path.exists(), "to look makes nothing"
    path.touch()
    assert FileCounts(str(path)).reached("bob", "", 3, {"user_hour": 2, "host_day": 3}) == {
        "user_hour": None
    }
    ages = (3000, 2000, 1000)
    path.unlink()
    written(path, *((now - age, "bob") for age in ages), (now - 4000, "bob"), (now - 1500, "carol"))
    for name, ofs in (("user_hour", ages), ("host_hour", (3000, 2000, 1500, 1000))):
        for most in range(len(ofs) + 2):
            for messages in range(1, len(ofs) + 3):
                found = FileCounts(str(path)).reached("bob", "", messages, {name: most})
                too_many = len(ofs) + messages - most
                if messages > most:
                    assert found == {name: None}
                elif too_many > 0:
                    assert found == {name: pytest.approx(3600 - ofs[too_many - 1], abs=30)}
                else:
                    assert found == {}
    assert len(rows(path)) == 5


def test_counts_that_cannot_be_written_are_told_by_their_path(tmp_path: Path) -> None:
    """Otherwise `trex doctor` would report no problem while every login is refused."""
    with tempfile.TemporaryDirectory(prefix="trex-counts-") as above:
        os.chmod(above, 0o755)  # noqa: S103 (the account needs access)
        place = Path(above) / "place"
        place.mkdir()
        path = place / "counts"
        FileCounts(str(path)).add("bob", "", 1, {})

        def look() -> str:
            os.setresuid(65534, 65534, 65534)
            try:
                return str(FileCounts(str(path)).reached("bob", "", 1, {"user_hour": 1}))
            except StateUnusable as error:
                return str(error)

        told = []
        modes = ((0o755, 0o666), (0o777, 0o644), (0o700, 0o666), (0o722, 0o666), (0o777, 0o666))
        for directory, file in modes:
            place.chmod(directory)
            path.chmod(file)
            told.append(str(in_a_child(look)))
        assert told[:4] == [
            f"{place} cannot be written", f"{path} cannot be used: Permission denied",
            f"{place} cannot be written", f"{place} cannot be written",
        ]  # fmt: skip
        assert told[4].startswith("{'user_hour': 35")
    for missing in (tmp_path / "none/counts", "/proc/counts"):
        with pytest.raises(StateUnusable, match=f"^{missing} cannot be used: No such file"):
            FileCounts(str(missing)).add("bob", "", 1, {})
    with pytest.raises(StateUnusable, match=f"^{tmp_path}/none: No such file or directory$"):
        FileCounts(f"{tmp_path}/none/counts").reached("bob", "", 1, {})


def test_a_path_is_no_address(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#%41"
    FileCounts(str(path)).add("bob", "", 1, {})
    assert FileCounts(str(path)).reached("bob", "", 1, {"user_hour": 1})
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"none\n", b"none", b"\n", b"SQLite format 3\0\n"])
def test_what_is_no_file_of_counts_is_no_count(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counts"
    path.write_bytes(content)
    for act in (FileCounts(str(path)).add, FileCounts(str(path)).reached):
        with pytest.raises(StateUnusable, match="holds no counts"):
            act("bob", "", 1, {"user_hour": 5})
    assert path.read_bytes() == content


def test_the_place_is_what_the_settings_name(tmp_path: Path, server: RedisServer) -> None:
    open_counts(f"file:{tmp_path}/counts").add("bob", "", 1, {})
    assert len(rows(tmp_path / "counts")) == 1
    assert isinstance(open_counts(server.url), RedisCounts)


def keys(client: redis.Redis) -> dict[str, int]:
    found = sorted(key.decode() for key in client.keys("trex:*:*:*"))
    return {key: client.zcard(key) for key in found}


def test_redis_counts_a_message_for_its_user_and_for_its_host(
    server: RedisServer, direct: redis.Redis
) -> None:
    RedisCounts(server.url).add("bob", "a", 2, {"user_hour": 2, "host_hour": 2})
    assert keys(direct) == {"trex:sms:host:a": 2, "trex:sms:user:bob": 2}
    for key in keys(direct):
        assert DAY - 60 < direct.ttl(key) <= DAY
        assert all(
            abs(at - time.time()) < 60 for _, at in direct.zrange(key, 0, -1, withscores=True)
        )
    for user, host, name in (("bob", "b", "user_hour"), ("carol", "a", "host_hour")):
        with pytest.raises(
            TooManyAttempts, match=rf"^nothing is sent: the limit {name} = 2 is reached$"
        ):
            RedisCounts(server.url).add(user, host, 1, {"user_hour": 2, "host_hour": 2})
    assert keys(direct) == {"trex:sms:host:a": 2, "trex:sms:user:bob": 2}
    RedisCounts(server.url).add("carol", "b", 1, {"user_day": 1, "host_day": 1})
    with pytest.raises(TooManyAttempts, match="user_day = 1"):
        RedisCounts(server.url).add("carol", "c", 1, {"host_day": 1, "user_day": 1})
    with pytest.raises(TooManyAttempts, match="host_day = 1"):
        RedisCounts(server.url).add("dave", "b", 1, {"user_day": 1, "host_day": 1})


def test_redis_counts_what_is_less_old_than_a_span(
    server: RedisServer, direct: redis.Redis
) -> None:
    for name, span in SPANS.items():
        for age, counted in (
            (span - 60, True),
            (span + 60, False),
            (60 - HOUR, True),
            (-60 - HOUR, False),
        ):
            direct.flushall()
            for key in ("trex:sms:user:bob", "trex:sms:host:a"):
                direct.zadd(key, {"old": time.time() - age})
            reached = RedisCounts(server.url).reached("bob", "a", 1, {name: 1})
            assert set(reached) == ({name} if counted else set()), (name, age)
            if counted:
                with pytest.raises(TooManyAttempts):
                    RedisCounts(server.url).add("bob", "a", 1, {name: 1})
                assert reached == {name: pytest.approx(span - age, abs=30)}
            else:
                RedisCounts(server.url).add("bob", "a", 1, {name: 1})
                if age > DAY or age < 0:
                    assert keys(direct) == {"trex:sms:host:a": 1, "trex:sms:user:bob": 1}, (
                        "forgotten"
                    )


def test_redis_says_which_limits_are_reached_and_for_how_long(
    server: RedisServer, direct: redis.Redis
) -> None:
    now = time.time()
    direct.zadd("trex:sms:user:bob", {str(age): now - age for age in (3000, 2000, 1000, 4000)})
    direct.zadd("trex:sms:host:a", {str(age): now - age for age in (3000, 2000, 1500, 1000)})
    for name, ages in (("user_hour", (3000, 2000, 1000)), ("host_hour", (3000, 2000, 1500, 1000))):
        for most in range(len(ages) + 2):
            for messages in range(1, len(ages) + 3):
                found = RedisCounts(server.url).reached("bob", "a", messages, {name: most})
                too_many = len(ages) + messages - most
                if messages > most:
                    assert found == {name: None}
                elif too_many > 0:
                    assert found == {name: pytest.approx(3600 - ages[too_many - 1], abs=30)}
                else:
                    assert found == {}
    expired = -2
    assert direct.pttl(fleet.TRIED) in {expired, *range(1001)}, "the one key that is written"
    assert keys(direct) == {"trex:sms:host:a": 4, "trex:sms:user:bob": 4}


def test_how_long_is_told_to_the_microsecond_by_redis_own_clock(
    server: RedisServer, direct: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct.zadd("trex:sms:user:bob", {"one": 1000})
    one = RedisCounts(server.url)
    monkeypatch.setattr(one._server, "time", lambda: (1000, 999_999))
    found = one.reached("bob", "a", 1, {"user_hour": 1})
    assert found == {"user_hour": pytest.approx(HOUR - 0.999_999, abs=1e-7)}


def test_a_name_is_taken_once_in_a_day(server: RedisServer, direct: redis.Redis) -> None:
    assert RedisCounts(server.url).claim("x", "1") is True
    assert RedisCounts(server.url).claim("x", "2") is False
    assert RedisCounts(server.socket_url).claim("x", "2") is False
    assert RedisCounts(server.url).claim("x", "1") is True, "who has it may ask twice"
    assert RedisCounts(server.url).claim("y", "2") is True
    assert DAY - 60 < direct.ttl("trex:otp:x") <= DAY
    RedisCounts(server.url).release("x", "2")
    assert RedisCounts(server.url).claim("x", "2") is False, "only who has it gives it back"
    RedisCounts(server.url).release("x", "1")
    assert RedisCounts(server.url).claim("x", "2") is True


def each_act(url: str) -> Iterator[str]:
    """Return the error of each operation."""
    acts: list[Callable[[RedisCounts], object]] = [
        lambda one: one.add("bob", "a", 1, {"user_hour": 5}), lambda one: one.claim("x", "1"),
        lambda one: one.release("x", "1"),
        lambda one: one.reached("bob", "a", 1, {"user_hour": 5}),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(StateUnusable) as caught:
            act(RedisCounts(url))
        yield str(caught.value)


def test_who_cannot_be_asked_is_told_without_the_address_and_its_password(
    server: RedisServer, tmp_path: Path
) -> None:
    for url, reason in (
        (server.url.replace(f"127.0.0.1:{server.port}", "127.0.0.1:1"), "ConnectionError"),
        (server.url.replace(TOKEN, "wrong"), "(Authentication|Response)Error"),
        (f"unix://:{TOKEN}@{tmp_path}/none", "No such file or directory"),
        (f"redis://:{TOKEN}@x:port/0", "ValueError"),
    ):  # fmt: skip
        for told in each_act(url):
            assert re.fullmatch(f"Redis cannot be asked: {reason}", told)


@pytest.mark.parametrize("kind", ["redis", "unix"])
def test_a_redis_that_says_nothing_is_not_waited_for(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    assert fleet.SECONDS == 3
    monkeypatch.setattr(fleet, "SECONDS", 0.2)
    with socket.socket(socket.AF_INET if kind == "redis" else socket.AF_UNIX) as silent:
        silent.bind(("127.0.0.1", 0) if kind == "redis" else str(tmp_path / "s"))
        silent.listen()
        url = (
            f"redis://127.0.0.1:{silent.getsockname()[1]}"
            if kind == "redis"
            else f"unix://{tmp_path}/s"
        )
        assert set(each_act(url)) == {"Redis cannot be asked: TimeoutError"}


def test_a_redis_that_takes_nothing_is_told_so_by_both(
    server: RedisServer, direct: redis.Redis
) -> None:
    """A replica still answers reads: `trex doctor` would report no problem."""
    rights = ["+@read", "+@connection", "+@scripting", "+time", "-@write"]
    direct.acl_setuser("reader", enabled=True, passwords=[f"+{TOKEN}"], keys=["*"], commands=rights)
    one = RedisCounts(server.url.replace("://:", "://reader:"))
    for act in (one.add, one.reached):
        with pytest.raises(StateUnusable, match=r"^Redis cannot be asked: "):
            act("bob", "a", 1, {"user_hour": 5})
    assert direct.keys("*") == []


def test_a_redis_that_takes_no_connection_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its queue is full, or a firewall drops packets: the kernel would try for two minutes."""
    monkeypatch.setattr(fleet, "SECONDS", 0.2)

    def asked() -> list[str]:
        signal.alarm(30)
        with socket.socket() as full, ExitStack() as kept:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(4):
                waiting = kept.enter_context(socket.socket())
                waiting.settimeout(0)
                waiting.connect_ex(full.getsockname())
            return list(each_act(f"redis://127.0.0.1:{full.getsockname()[1]}"))

    assert set(in_a_child(asked)) == {"Redis cannot be asked: TimeoutError"}


def test_a_link_is_not_followed_and_a_fifo_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / "fifo")

    def told() -> list[str]:
        signal.alarm(30)
        found = []
        for name in ("link", "fifo"):
            counts = FileCounts(str(tmp_path / name))
            for act in (counts.add, counts.reached):
                try:
                    act("bob", "", 1, {"user_hour": 5})
                except StateUnusable as error:
                    found.append(str(error).rpartition(": ")[2])
        return found

    assert in_a_child(told) == [
        *["Too many levels of symbolic links"] * 2, *["Resource temporarily unavailable"] * 2,
    ]  # fmt: skip
