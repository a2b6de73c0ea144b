"""Redis by a Unix socket, which the account that sends must be able to open."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import redis

from tests.support.codes import code, here, text
from tests.support.gateways import TOKEN, RedisServer
from tests.support.pins import Sms, by_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Asked, Log

GROUP = "trex-redis"


@pytest.fixture
def server(place: Path, servant: str) -> Iterator[RedisServer]:
    """Like Debian's: in its own directory, for a group that the account is in."""
    directory = place / "redis"
    directory.mkdir(mode=0o755)
    for command in (["groupadd", "--system", GROUP], ["usermod", "-a", "-G", GROUP, servant]):
        subprocess.run(command, check=True, capture_output=True)
    server = RedisServer(directory)
    shutil.chown(server.socket, group=GROUP)
    yield server
    server.close()
    shutil.rmtree(directory)
    subprocess.run(["groupdel", GROUP], check=True, capture_output=True)


def test_pins_are_counted_by_a_socket_and_limited(sms: Sms, server: RedisServer) -> None:
    sms.configure(by_http(sms.gateway), state=server.socket_url, before="[limits]\nuser_hour = 2")
    assert [sms().verdict for _ in range(3)] == ["PAM_SUCCESS"] * 2 + ["PAM_AUTHINFO_UNAVAIL"]
    assert "nothing is sent: the limit user_hour = 2 is reached" in sms.log.everything()
    assert len(sms.gateway.texts) == 2
    with redis.Redis.from_url(server.url) as direct:
        assert direct.zcard("trex:sms:user:bob") == 2
        assert direct.zcard(f"trex:sms:host:{os.uname().nodename}") == 2


def test_a_database_of_its_own(sms: Sms, server: RedisServer) -> None:
    sms.configure(by_http(sms.gateway), state=f"{server.socket_url}?db=3")
    assert sms().verdict == "PAM_SUCCESS", sms.log.everything()
    with redis.Redis.from_url(server.url.removesuffix("0") + "3") as direct:
        assert direct.zcard("trex:sms:user:bob") == 1


def test_a_code_is_spent_by_a_socket(
    bob: Account,
    ask: Callable[..., Asked],
    configure: Callable[..., None],
    server: RedisServer,
    log: Log,
) -> None:
    """Two hosts' views of one home: the second still sees the file that the first has replaced."""
    configure(state=server.socket_url)
    answer = code(here())

    def log_in() -> str:
        bob.write(text('" TOTP_AUTH', '" WINDOW_SIZE 9'), ".google_authenticator")
        return ask("bob", "--answer", answer, arguments=("method=totp", "fleet")).verdict

    assert log_in() == "PAM_SUCCESS", log.everything()
    log.clear()
    assert log_in() == "PAM_AUTH_ERR"
    assert "another host of the fleet has accepted this code" in log.verdict()


@pytest.mark.parametrize(
    ("change", "reason"),
    [(lambda path: path.chmod(0o700), "Permission denied"),
     (lambda path: path.parent.chmod(0o700), "Permission denied"),
     (lambda path: path.unlink(), "No such file or directory"),
     (lambda path: (path.unlink(), path.touch(), path.chmod(0o666)), "ConnectionError")],
)  # fmt: skip
def test_a_socket_that_cannot_be_opened_sends_nothing_and_accepts_no_code(
    sms: Sms, bob: Account, ask: Callable[..., Asked], server: RedisServer,
    change: Callable[[Path], object], reason: str,
) -> None:  # fmt: skip
    """Root could open it, but the account that sends must be able to."""
    sms.configure(by_http(sms.gateway), state=server.socket_url)
    change(server.socket)
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    told = f"it cannot be counted: Redis cannot be asked: {reason}"
    assert told in sms.log.verdict()
    assert sms.gateway.requests == []
    bob.write(text('" TOTP_AUTH'), ".google_authenticator")
    sms.log.clear()
    asked = ask("bob", "--answer", code(here()), arguments=("method=totp", "fleet"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f"spent for the fleet: Redis cannot be asked: {reason}" in sms.log.verdict()
    assert TOKEN not in sms.log.everything()


@pytest.mark.parametrize("accepting", [True, False])
def test_a_socket_at_which_nobody_answers(sms: Sms, place: Path, accepting: bool) -> None:
    """With a full queue, connect(2) would wait forever."""
    path, waiting = place / "counts/silent.sock", []
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        path.chmod(0o666)
        silent.listen(0)
        if not accepting:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[0].connect(str(path))
        sms.configure(by_http(sms.gateway), state=f"unix://{path}")
        started = time.monotonic()
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert time.monotonic() - started < 50
    for one in waiting:
        one.close()
    assert sms.gateway.requests == []
