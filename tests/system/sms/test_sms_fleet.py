"""Hosts that share a Redis: users' limits, and codes that are spent for all of them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import redis
from pyotp import HOTP

from tests.support.codes import FILE, text
from tests.support.gateways import TOKEN, RedisServer
from tests.support.pins import LIMITS
from trex.errors import TooManyAttempts
from trex.sms.errors import StateUnusable
from trex.sms.fleet import RedisCounts
from trex.sms.send import open_counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked, Log


def test_redis_forgets_what_a_clock_far_ahead_has_counted(redis_server: RedisServer) -> None:
    direct = redis.Redis.from_url(redis_server.url)
    for ahead, refused in ((3000, True), (4000, False)):
        direct.delete("trex:sms:user:bob")
        later = time.time() + ahead
        direct.zadd("trex:sms:user:bob", {f"future-{number}": later for number in range(7)})
        with pytest.raises(TooManyAttempts) if refused else contextlib.nullcontext():
            open_counts(redis_server.url).add("bob", "a", 1, LIMITS)
    direct.close()


def test_what_a_clock_far_ahead_has_counted_in_redis(redis_server: RedisServer) -> None:
    ahead = {str(n): time.time() + 86400 * 365 for n in range(5)}
    redis.Redis.from_url(redis_server.url).zadd("trex:sms:user:alice", ahead)
    counts = open_counts(redis_server.url)
    assert counts.reached("alice", "h", 5, {"user_hour": 5}) == {}
    counts.add("alice", "h", 5, {"user_hour": 5})
    assert counts.reached("alice", "h", 1, {"user_hour": 5})


def test_a_fleet_shares_a_user_s_limit_and_each_host_has_its_own(redis_server: RedisServer) -> None:
    counts = open_counts(redis_server.url)
    counts.add("bob", "a", 4, LIMITS)
    counts.add("alice", "a", 7, LIMITS)
    counts.add("bob", "b", 3, LIMITS)
    with pytest.raises(TooManyAttempts, match="user_hour"):
        counts.add("bob", "c", 1, LIMITS)
    with pytest.raises(TooManyAttempts, match="host_hour"):
        counts.add("carol", "a", 1, LIMITS)
    redis_server.close()
    with pytest.raises(StateUnusable, match="Redis cannot be asked: ConnectionError"):
        open_counts(redis_server.url).add("bob", "b", 1, LIMITS)


def test_a_code_is_spent_for_a_whole_fleet(
    bob: Account,
    ask: Callable[..., Asked],
    configure: Callable[..., None],
    redis_server: RedisServer,
    log: Log,
) -> None:
    """Shared homes: the second host still sees the file that the first has replaced."""
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEE"  # noqa: S105 (a test's)
    stale = f'{secret}\n" TOTP_AUTH\n" WINDOW_SIZE 9\n12345678\n'
    configure(state=redis_server.url)
    now = int(time.time()) // 30

    def log_in(answer: str, *arguments: str) -> str:
        bob.write(stale, ".google_authenticator")
        return ask("bob", "--answer", answer, arguments=("method=totp", *arguments)).verdict

    for answer in (HOTP(secret).at(now), "12345678"):
        assert log_in(answer, "fleet") == "PAM_SUCCESS", log.everything()
        log.clear()
        assert log_in(answer, "fleet") == "PAM_AUTH_ERR"
        assert ": wrong response: " in log.verdict()
        assert "another host of the fleet has accepted this code" in log.verdict()
    assert log_in(HOTP(secret).at(now + 1), "fleet") == "PAM_SUCCESS"
    assert log_in("000000", "fleet") == "PAM_AUTH_ERR"
    redis_server.close()
    log.clear()
    assert log_in(HOTP(secret).at(now + 2), "fleet") == "PAM_AUTHINFO_UNAVAIL"
    assert "the code cannot be spent for the fleet: Redis cannot be asked" in log.verdict()
    assert TOKEN not in log.everything()
    configure()
    log.clear()
    assert log_in(HOTP(secret).at(now + 3), "fleet") == "PAM_AUTHINFO_UNAVAIL"
    assert "expected a redis:// URL, which fleet needs" in log.verdict()


def test_a_code_that_is_refused_for_want_of_a_file_is_good_for_the_next_login(
    bob: Account, ask: Callable[..., Asked], configure: Callable[..., None],
    redis_server: RedisServer, log: Log,
) -> None:  # fmt: skip
    """It was spent in Redis for a day, although no login succeeded with it."""
    configure(state=redis_server.url)
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    in_the_way = bob.write("no directory", f".{FILE}~")
    arguments = ("method=totp", "fleet")
    asked = ask("bob", "--answer", "12345678", arguments=arguments)
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "cannot be rewritten: Not a directory" in log.verdict()
    in_the_way.unlink()
    assert ask("bob", "--answer", "12345678", arguments=arguments).verdict == "PAM_SUCCESS"
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    assert ask("bob", "--answer", "12345678", arguments=arguments).verdict == "PAM_AUTH_ERR"


def test_who_claims_a_code_alone_gives_it_back(redis_server: RedisServer) -> None:
    counts = RedisCounts(redis_server.url)
    assert counts.claim("code", "mine")
    assert counts.claim("code", "mine"), "the same login: a library may ask twice"
    assert not counts.claim("code", "another's")
    counts.release("code", "another's")
    assert not counts.claim("code", "another's")
    counts.release("code", "mine")
    assert counts.claim("code", "another's")
    counts.release("code", "mine")
    assert not counts.claim("code", "mine")
    direct = redis.Redis.from_url(redis_server.url)
    assert 86_000 < int(direct.ttl("trex:otp:code")) <= 86_400
    direct.close()


class LostAnswer:
    """Forwards requests to Redis, and drops its first answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://:{TOKEN}@127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = self._listener.accept()
                with visitor, socket.create_connection(("127.0.0.1", self._port)) as server:
                    self._pass_on(visitor, server)

    def _pass_on(self, visitor: socket.socket, server: socket.socket) -> None:
        while said := visitor.recv(65536):
            server.sendall(said)
            answer = server.recv(65536)
            if b"EVAL" in said and b"SET" in said and not self.lost:
                self.lost = True
                return
            visitor.sendall(answer)

    lost = False

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


def test_a_claim_whose_answer_is_lost_is_taken_back(redis_server: RedisServer) -> None:
    """Redis has the code, but the login does not know: it is refused, and the code not spent."""
    between = LostAnswer(redis_server.port)
    try:
        with contextlib.suppress(StateUnusable):  # a later library retries by itself
            RedisCounts(between.url).claim("code", "first")
            RedisCounts(redis_server.url).release("code", "first")
        assert between.lost
        assert RedisCounts(redis_server.url).claim("code", "second")
    finally:
        between.close()
