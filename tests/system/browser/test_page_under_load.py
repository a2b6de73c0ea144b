"""The page among hostile visitors: it still answers, and stays small."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import resource
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.network import trusting
from tests.support.page import answer_to
from trex.page.process.server import MAX_CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.browser import Browser
    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt, Shown
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

    Browsers = Callable[..., Browser]
    WithPage = Callable[..., Account]
    Prompt = Callable[..., OpenPrompt]

VISIT_SECONDS = 5.0  # half of what the page gives to each visitor
MOST_KB = 40 * 1024
HALF_A_REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "
MEGABYTES = 10


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def resident_kb(pid: int) -> tuple[int, int]:
    """Return a process's resident memory, now and at its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, most = (re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE) for name in
                 ("VmRSS", "VmHWM"))  # fmt: skip
    assert now
    assert most
    return int(now[1]), int(most[1])


def half_a_handshake(shown: Shown) -> bytes:
    """Return the first half of a client's first message."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        trusting().wrap_bio(back, there).do_handshake()
    hello = there.read()
    return hello[: len(hello) // 2]


def is_quick(visit: Callable[[], object]) -> bool:
    """Tell whether one of three visits is: other tests use these processors, and slow one down."""
    for _ in range(3):
        begun = time.monotonic()
        visit()
        if time.monotonic() - begun < VISIT_SECONDS:
            return True
    return False


def silent(shown: Shown) -> list[socket.socket]:
    return [shown.connect() for _ in range(200)]


def half_finished_handshakes(shown: Shown) -> list[socket.socket]:
    return [started(shown.connect(), half_a_handshake(shown)) for _ in range(50)]


def half_sent_requests(shown: Shown) -> list[socket.socket]:
    return [started(shown.connect_tls(), HALF_A_REQUEST) for _ in range(50)]


def started(visitor: socket.socket, words: bytes) -> socket.socket:
    visitor.sendall(words)
    return visitor


def megabytes_of_headers(shown: Shown) -> list[socket.socket]:
    visitor = shown.connect_tls()
    visitor.sendall(b"GET / HTTP/1.1\r\n")
    line = b"X-Header: " + b"x" * 1000 + b"\r\n"
    with contextlib.suppress(OSError):  # it is cut off long before
        for _ in range(MEGABYTES * 1000):
            visitor.sendall(line)
    return [visitor]


def one_endless_header(shown: Shown) -> list[socket.socket]:
    visitor = shown.connect_tls()
    with contextlib.suppress(OSError):
        visitor.sendall(b"GET / HTTP/1.1\r\nX-Header: ")
        for _ in range(MEGABYTES):
            visitor.sendall(b"x" * (1 << 20))
    return [visitor]


def wrong_passwords(shown: Shown) -> list[socket.socket]:
    def knock(_: int) -> bool:
        with shown.connect_tls() as visitor:
            visitor.sendall(
                b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5eXl5eXl5eXl5\r\n\r\n"
            )
            return visitor.recv(100).startswith(b"HTTP/1.1 401")

    with ThreadPoolExecutor(8) as guessers:
        assert all(guessers.map(knock, range(1000)))
    return []


HOSTILE = [silent, half_finished_handshakes, half_sent_requests, megabytes_of_headers,
           one_endless_header, wrong_passwords]  # fmt: skip


def test_a_browser_gets_the_page_among_hostile_visitors(
    with_page: WithPage, prompt: Prompt, browser: Browsers, holder: Holder
) -> None:
    with_page("webQrAuthTls")
    login = prompt("alice", arguments=("web_host=localhost",))
    window = browser()
    window.visit(login.shown)  # the browser's own start is not the page's
    held: list[socket.socket] = []
    page = login.page_process()
    try:
        for attack in HOSTILE:
            held += attack(login.shown)
            assert is_quick(lambda: window.visit(login.shown)), attack.__name__
            assert window.scan().strip() == login.shown.message
            now, most = resident_kb(page)
            assert most < MOST_KB, f"{attack.__name__}: {now} kB, {most} kB at most"
    finally:
        for visitor in held:
            visitor.close()
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"


def test_a_page_without_authentication_and_tls_withstands_the_same(
    with_page: WithPage, prompt: Prompt
) -> None:
    with_page("webQrNoAuthNoTls")
    login = prompt("alice")
    held = silent(login.shown)
    held += [started(login.shown.connect(), HALF_A_REQUEST) for _ in range(50)]
    assert is_quick(login.shown.get)
    assert "200 OK" in login.shown.get()
    for visitor in held:
        visitor.close()


def test_who_says_nothing_is_shown_out(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthTls")
    shown = prompt("alice").shown
    for visitor in (
        shown.connect(),
        started(shown.connect(), half_a_handshake(shown)),
        started(shown.connect_tls(), HALF_A_REQUEST),
    ):
        visitor.settimeout(60)
        with contextlib.suppress(ConnectionResetError):
            assert visitor.recv(1) == b""
        visitor.close()


def test_a_drip_does_not_hold_a_connection(with_page: WithPage, prompt: Prompt) -> None:
    """A byte now and then is no request: the time limit is for the whole visit, not each read."""
    with_page("webQrNoAuthNoTls")
    visitor = prompt("alice").shown.connect()
    begun = time.monotonic()
    try:
        visitor.sendall(HALF_A_REQUEST)
        while time.monotonic() < begun + 30:
            visitor.sendall(b"x")
            time.sleep(0.2)
    except (BrokenPipeError, ConnectionResetError):
        pass
    visitor.close()
    assert time.monotonic() - begun < 20


def test_a_handshake_that_drips_does_not_hold_a_connection(
    with_page: WithPage, prompt: Prompt
) -> None:
    with_page("webQrNoAuthTls")
    shown = prompt("alice").shown
    visitor = shown.connect()
    begun = time.monotonic()
    try:
        for byte in half_a_handshake(shown) * 2:
            visitor.sendall(bytes([byte]))
            time.sleep(0.1)
            if time.monotonic() > begun + 30:
                break
    except (BrokenPipeError, ConnectionResetError):
        pass
    visitor.close()
    assert time.monotonic() - begun < 20


@pytest.fixture
def elsewhere(place: Path) -> Iterator[str]:
    """Give the host an address for a visitor who is not a local user."""
    address = "192.0.2.7"
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    yield address
    subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)


def test_all_of_loopback_is_one_visitor(
    with_page: WithPage, prompt: Prompt, elsewhere: str
) -> None:
    """A local user has millions of addresses, but they all count as one visitor."""
    with_page("webQrNoAuthNoTls")
    port = prompt("alice").shown.port
    numbers = itertools.count(256)

    def crowd(held: contextlib.ExitStack) -> None:
        for number in itertools.islice(numbers, MAX_CONNECTIONS + 4):
            source = f"127.0.{number // 256}.{number % 256}"
            held.enter_context(socket.create_connection(
                ("127.0.0.1", port), timeout=10, source_address=(source, 0)
            ))  # fmt: skip

    with contextlib.ExitStack() as held:
        crowd(held)
        visitor = held.enter_context(socket.create_connection(
            ("127.0.0.1", port), timeout=10, source_address=(elsewhere, 0)
        ))  # fmt: skip
        visitor.sendall(HALF_A_REQUEST)
        crowd(held)
        visitor.sendall(b"\r\n\r\n")
        assert visitor.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_a_flood_pushes_out_its_own_connections(
    with_page: WithPage, prompt: Prompt, elsewhere: str
) -> None:
    """It comes from one address, the owner from another."""
    with_page("webQrNoAuthTls")
    shown = prompt("alice").shown
    stop = threading.Event()

    def flood() -> None:
        held: list[socket.socket] = []
        while not stop.is_set():
            with contextlib.suppress(OSError):
                held.append(socket.create_connection(("127.0.0.1", shown.port), timeout=1,
                                                     source_address=("127.0.0.2", 0)))  # fmt: skip
            if len(held) > 500:
                held.pop(0).close()
        for visitor in held:
            visitor.close()

    attackers = [threading.Thread(target=flood) for _ in range(2)]
    for attacker in attackers:
        attacker.start()
    try:
        time.sleep(1)
        visits = [shown.get("--interface", elsewhere) for _ in range(5)]
    finally:
        stop.set()
        for attacker in attackers:
            attacker.join()
    assert sum("200 OK" in visit for visit in visits) >= 4


def test_32_logins_with_pages_at_once(
    account: Callable[[str], Account], keys: Keys, holder: Holder, prompt: Prompt
) -> None:
    """Each shows only its own challenge."""
    users = [f"user{number}" for number in range(32)]
    exported = holder.public(keys["cv25519"])
    for name in users:
        user = account(name)
        user.import_keys(exported)
        user.write(f"{keys['cv25519']} trust nosign webQrAuthTls\n")
    with ThreadPoolExecutor(3) as pool:  # a login waits 5 seconds for its page
        logins = list(pool.map(lambda name: prompt(name, "--rhost", name), users))
        pages = list(pool.map(lambda login: login.shown.get("--retry", "2"), logins))
    assert len({login.shown.port for login in logins}) == 32
    for name, login, page in zip(users, logins, pages, strict=True):
        assert "200 OK" in page
        assert login.shown.message.replace("+", "&#43;").splitlines()[3] in page.replace(
            "+", "&#43;"
        )
        assert set(re.findall(r"<dd>(user\d+)</dd>", page)) == {name}
    answers = [answer_to(holder, login) for login in logins]
    assert len(set(answers)) == 32
    assert logins[0].answer(answers[1]).verdict == "PAM_AUTH_ERR"
    for login, answer in zip(logins[1:], answers[1:], strict=True):
        assert login.answer(answer).verdict == "PAM_SUCCESS"
    assert not {login.shown.port for login in logins} & sandbox.listening_ports()


def test_a_visitor_cannot_make_it_start_anything(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthNoTls")
    login = prompt("alice")
    assert "200 OK" in login.shown.get()
    page = login.page_process()
    assert os.listdir(f"/proc/{page}/task") == [str(page)], "one thread"
    children = Path(f"/proc/{page}/task/{page}/children")
    assert not children.exists() or not children.read_text().strip()
