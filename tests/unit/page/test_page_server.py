"""The page's whole server, in its own process: many visitors' addresses, and time limits."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import sys
import time
from base64 import b64encode
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.forked import in_a_child
from tests.support.network import enter_network, read_all
from tests.support.page import make_certificate
from trex.page.process import server
from trex.page.process.document import Document
from trex.page.process.server import make_context
from trex.page.process.settings import LISTENER_FD, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if os.geteuid() != 0:
    pytest.skip("a network of one's own is root's", allow_module_level=True)

MESSAGE = "-----BEGIN PGP MESSAGE-----\n"
SHORT = 3.0  # seconds, if a test waits for the limit
MANY = server.MAX_CONNECTIONS
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
NETWORKS = ("2001:db8:0:1::", "2001:db8:0:2::")
ADDRESSES = (
    "192.0.2.1/24", "198.51.100.1/24", *(f"{network}{host}/64" for network in NETWORKS for host in (1, 2, 3)),
)  # fmt: skip


class Served:
    """A server's process, and how to visit it."""

    def __init__(
        self, *lines: str, seconds: float = 60, patience: float = 10, message: str = MESSAGE,
        context: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self.said, stderr = os.pipe()  # its output, if there is a standard error
        with socket.create_server(
            ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True
        ) as listener:
            self.port: int = listener.getsockname()[1]
            self.pid = os.fork()
            if self.pid == 0:
                os.dup2(stderr, 2)
                lines = (*lines, f"deadline {now() + seconds}")
                _serve(listener, list(lines), patience, message, context)
        os.close(stderr)

    def visit(self, source: str = "", *, target: str = "") -> socket.socket:
        """Connect from an address, by default a loopback one, to the same address."""
        source = source or "127.0.0.1"
        return socket.create_connection((target or source, self.port), 20, (source, 0))

    def ask(self, request: bytes = GET + b"\r\n", source: str = "") -> bytes:
        with self.visit(source) as visitor:
            visitor.sendall(request)
            return read_all(visitor)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with open(self.said, "rb") as stream:
            assert stream.read() == b"", "what strangers send is worth no line"


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _serve(listener: socket.socket, lines: list[str], patience: float, message: str,
           context: ssl.SSLContext | None) -> None:  # fmt: skip
    try:
        os.dup2(listener.fileno(), LISTENER_FD)
        logging.getLogger().handlers.clear()  # pytest's, and its standard error
        sys.stderr = open(2, "w", closefd=False, encoding="utf-8")  # noqa: SIM115 (until the end)
        server.CONNECTION_SECONDS = patience
        settings = Settings(["host x", *lines])
        server.serve(Document(settings, message, b""), settings, context)
        os._exit(0)
    finally:
        os._exit(1)


def in_a_network(work: Callable[[ExitStack], object]) -> object:
    def enter_and_work() -> object:
        enter_network(*ADDRESSES)
        with ExitStack() as kept:
            return work(kept)

    return in_a_child(enter_and_work)


@pytest.fixture
def served() -> Iterator[Callable[..., Served]]:
    begun = []

    def start(*lines: str, **options: Any) -> Served:
        begun.append(Served(*lines, **options))
        return begun[-1]

    yield start
    for one in begun:
        one.end()


def begin(kept: ExitStack) -> Served:
    site = Served(patience=50)
    kept.callback(site.end)
    return site


def waiting(kept: ExitStack, site: Served, source: str) -> socket.socket:
    """Return a visitor who has sent a partial request that the server has received."""
    visitor = kept.enter_context(site.visit(source))
    visitor.sendall(GET)
    return visitor


def answer_to(visitor: socket.socket) -> bytes:
    """Return what a waiting visitor gets, b"" if the connection was closed."""
    try:
        visitor.sendall(b"\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return b""
    return read_all(visitor)


def test_who_takes_many_connections_loses_one_of_them_and_nobody_else_does() -> None:
    """The first visitor came before all of another's connections: age alone does not decide."""

    def visit(kept: ExitStack) -> list[bytes]:
        site = begin(kept)
        first = waiting(kept, site, "192.0.2.1")
        greedy = [waiting(kept, site, "198.51.100.1") for _ in range(MANY - 1)]
        last = waiting(kept, site, "198.51.100.1")
        return [answer_to(one)[:15] for one in (last, first, greedy[0], greedy[1], greedy[-1])]

    taken = b"HTTP/1.1 200 OK"
    assert in_a_network(visit) == [taken, taken, b"", taken, taken]


def test_one_connection_less_than_the_most_closes_nobody_s() -> None:
    def visit(kept: ExitStack) -> set[bytes]:
        site = begin(kept)
        return {
            answer_to(one)[:15] for one in [waiting(kept, site, "192.0.2.1") for _ in range(MANY)]
        }

    assert in_a_network(visit) == {b"HTTP/1.1 200 OK"}


def test_who_has_gone_counts_no_more() -> None:
    def visit(kept: ExitStack) -> bytes:
        site = begin(kept)
        first = waiting(kept, site, "192.0.2.1")
        for _ in range(2 * MANY):
            assert site.ask(source="198.51.100.1")
        return answer_to(first)[:15]

    assert in_a_network(visit) == b"HTTP/1.1 200 OK"


def test_a_network_of_ipv6_is_one_visitor_however_many_addresses_it_has() -> None:
    """A subscriber can choose from 64 bits of addresses, with few connections from each."""

    def visit(kept: ExitStack) -> list[bytes]:
        site = begin(kept)
        modest = [waiting(kept, site, f"{NETWORKS[0]}1") for _ in range(MANY // 2 - 1)]
        sources = [f"{NETWORKS[1]}{1 + number % 3}" for number in range(MANY - len(modest))]
        many = [waiting(kept, site, source) for source in sources]
        last = waiting(kept, site, "192.0.2.1")
        return [answer_to(one)[:15] for one in (last, modest[0], many[0], many[1])]

    taken = b"HTTP/1.1 200 OK"
    assert in_a_network(visit) == [taken, taken, b"", taken]


@pytest.mark.parametrize(
    ("address", "origin"),
    [("127.0.0.1", "loopback"), ("::ffff:127.255.0.9", "loopback"), ("::1", "loopback"),
     ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:0:1:2::3", "2001:db8:0:1::"),
     ("fe80::7%eth0", "fe80::"), ("::2", "::")],
)  # fmt: skip
def test_who_counts_as_one_visitor(address: str, origin: str) -> None:
    """A local user can connect from any loopback address."""
    assert server._origin(address) == origin


def test_two_networks_of_ipv6_are_two_visitors() -> None:
    def visit(kept: ExitStack) -> list[bytes]:
        site = begin(kept)
        one = [waiting(kept, site, f"{NETWORKS[0]}1") for _ in range(MANY // 2 - 1)]
        other = [waiting(kept, site, f"{NETWORKS[1]}1") for _ in range(MANY // 2 - 1)]
        third = [waiting(kept, site, "192.0.2.1") for _ in range(MANY - len(one) - len(other))]
        *_, last = [waiting(kept, site, "198.51.100.1") for _ in range(2)]
        return [answer_to(visitor)[:15] for visitor in (last, one[0], other[0], third[0])]

    taken = b"HTTP/1.1 200 OK"
    assert in_a_network(visit) == [taken, b"", b"", taken]


def test_who_has_gone_is_not_counted_against_who_is_there() -> None:
    def visit(kept: ExitStack) -> list[bytes]:
        site = begin(kept)
        there = [waiting(kept, site, "192.0.2.1") for _ in range(MANY // 2)]
        for source in ("198.51.100.1", f"{NETWORKS[0]}1", f"{NETWORKS[1]}1"):
            for _ in range(MANY // 5):
                assert site.ask(source=source)
        return [answer_to(one)[:15] for one in (there[0], there[-1])]

    assert 3 * (MANY // 5) > MANY // 2 > MANY // 5
    assert in_a_network(visit) == [b"HTTP/1.1 200 OK"] * 2


def test_the_limits_are_those_that_are_promised() -> None:
    """docs/attacks.md states them."""
    assert (server.MAX_CONNECTIONS, server.CONNECTION_SECONDS) == (96, 10)
    assert (server.MAX_HEADERS, server.BUFFER) == (16384, 65536)


def test_who_reads_nothing_is_not_waited_for(served: Callable[..., Served]) -> None:
    """A page of 16 MB, which does not fit into the kernel's buffer for a connection."""
    site = served(patience=SHORT, message="x" * (16 << 20))
    with site.visit() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.sendall(GET + b"\r\n")
        started = time.monotonic()
        while is_established(site.port, idle.getsockname()[1]):
            assert time.monotonic() < started + 20
            time.sleep(0.1)


def is_established(port: int, visitor: int) -> bool:
    """Tell whether the server still has a connection from that port (proc(5), tcp_states.h)."""
    with open("/proc/self/net/tcp6", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    ends = {(int(row[1][-4:], 16), int(row[2][-4:], 16)): row[3] for row in rows}
    return ends.get((port, visitor)) == "01"


def test_nobody_s_connection_lasts(served: Callable[..., Served]) -> None:
    """Not even one on which a byte arrives each second."""
    site = served(patience=SHORT)
    started = time.monotonic()
    with site.visit() as slow:
        while time.monotonic() < started + 30:
            try:
                slow.sendall(b"x")
                slow.settimeout(0.3)
                if not slow.recv(1):
                    break
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
        assert SHORT < time.monotonic() - started < SHORT + 20
    with site.visit() as silent:
        assert read_all(silent) == b""
    assert site.ask().startswith(b"HTTP/1.1 200 OK")


def test_it_serves_until_the_deadline_and_ends_by_itself(served: Callable[..., Served]) -> None:
    started = time.monotonic()
    site = served(seconds=5)
    assert site.ask().startswith(b"HTTP/1.1 200 OK")
    pidfd = os.pidfd_open(site.pid)
    try:
        assert os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT).si_status == 0  # type: ignore[union-attr]
    finally:
        os.close(pidfd)
    assert 4 < time.monotonic() - started < 30


def test_it_can_start_and_write_nothing(served: Callable[..., Served]) -> None:
    site = served()
    assert site.ask().startswith(b"HTTP/1.1 200 OK")
    with open(f"/proc/{site.pid}/limits", encoding="ascii") as file:
        limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
    assert limits["Max processes"] == limits["Max file size"] == ["0", "0"]


def basic(user: str, password: str, scheme: str = "Basic") -> bytes:
    token = b64encode(f"{user}:{password}".encode()).decode()
    return GET + f"Authorization: {scheme} {token}\r\n\r\n".encode()


def test_both_words_are_needed_and_nothing_else_opens(served: Callable[..., Served]) -> None:
    site = served("credentials user word", "login alice")
    for right in (
        basic("user", "word"),
        basic("user", "word", "bASIC"),
        basic("user", "word", "Basic "),
    ):
        answer = site.ask(right)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"<dd>alice</dd>" in answer
    for wrong in (GET + b"\r\n", basic("user", "wor"), basic("use", "word"), basic("", "word"),
                  basic("user", ""), basic("", ""), basic("user", "word", "Bearer"), basic("user", "word", ""),
                  basic("user", "wor\N{LATIN SMALL LETTER E WITH ACUTE}")):  # fmt: skip
        answer = site.ask(wrong)
        assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert b'\r\nWww-Authenticate: Basic realm="Trex", charset="UTF-8"\r\n' in answer
        assert b"alice" not in answer
        assert b"PGP" not in answer


@pytest.mark.parametrize(
    ("target", "status"),
    [("/", 200), ("http://x/", 200), ("HTTPS://x/", 200), ("http://x", 200), ("http://x/y", 404),
     ("ftp://x/", 404), ("//x/", 404), ("/y", 404), ("*", 404), ("/y://x/", 404), ("://x/", 404)],
)  # fmt: skip
def test_there_is_one_page(served: Callable[..., Served], target: str, status: int) -> None:
    answer = served().ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b"PGP" in answer) == (status == 200)


def test_reading_is_all_that_can_be_done(served: Callable[..., Served]) -> None:
    site = served()
    whole = site.ask()
    head, _, body = whole.partition(b"\r\n\r\n")
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    assert b"\r\nConnection: close" in head
    assert b"\r\nDate: " in head
    only_head = site.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert only_head.startswith(b"HTTP/1.1 200 OK")
    assert only_head.endswith(b"\r\n\r\n")
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in only_head
    for method in ("POST", "PUT", "get", "TRACE"):
        answer = site.ask(f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
        assert b"\r\nAllow: GET, HEAD\r\n" in answer
        assert b"PGP" not in answer


def test_a_body_is_not_waited_for(served: Callable[..., Served]) -> None:
    site = served()
    claimed = b"Content-Length: 1099511627775\r\n\r\n"
    assert site.ask(GET + claimed).startswith(b"HTTP/1.1 200 OK")
    assert site.ask(GET + b"Transfer-Encoding: chunked\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_is_claimed_gets_no_answer_of_its_own(served: Callable[..., Served]) -> None:
    """Tornado would append an error to a page that is still being sent, like one of 16 MB."""
    whole = served(message="x" * (16 << 20)).ask(GET + b"Content-Length: 1099511627775\r\n\r\n")
    assert len(whole) > 16 << 20
    assert whole.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("chunk", ["-5", "-1", "-0x10", "+5", "5_0", "x"])
def test_no_body_is_read_however_it_is_written(served: Callable[..., Served], chunk: str) -> None:
    """Tornado 6.2 reads a chunk of fewer bytes than none for ever, and nobody else is served."""
    site = served()
    body = f"Transfer-Encoding: chunked\r\n\r\n{chunk}\r\nhello\r\n".encode()
    assert site.ask(GET + body).startswith(b"HTTP/1.1 200 OK")
    assert site.ask().startswith(b"HTTP/1.1 200 OK")


def test_one_request_is_answered_and_what_follows_it_is_not_read(
    served: Callable[..., Served],
) -> None:
    assert served().ask((GET + b"\r\n") * 3).count(b"HTTP/1.1 ") == 1


def test_what_is_no_http_gets_nothing_and_ends_nothing(served: Callable[..., Served]) -> None:
    site = served()
    for request in (b"\0" * 100 + b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n"):
        assert b"200" not in site.ask(request)
    assert site.ask().startswith(b"HTTP/1.1 200 OK")


def test_what_is_no_tls_is_worth_no_line(served: Callable[..., Served], tmp_path: Path) -> None:
    """Tornado logs a warning for each, and strangers can send any number."""
    key, pem = (path.read_bytes() for path in make_certificate(tmp_path))
    assert b"200" not in served(context=make_context(key, pem)).ask(GET + b"\r\n")


def test_a_second_request_on_a_connection_gets_nothing(served: Callable[..., Served]) -> None:
    twice = (GET + b"Connection: keep-alive\r\n\r\n") * 2
    assert served().ask(twice).count(b"HTTP/1.1 200 OK") == 1


def test_long_headers_get_nothing(served: Callable[..., Served]) -> None:
    site = served()
    assert site.ask(GET + b"X: " + b"y" * 12_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    assert b"200" not in site.ask(GET + b"X: " + b"y" * 17_000 + b"\r\n\r\n")
