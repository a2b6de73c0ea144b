"""Slots and ports for pages: who can take them, what they are, and that they are released."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import stat
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from tests.support.forked import in_a_child
from tests.support.network import enter_network
from trex.errors import PageUnavailable
from trex.login.options import parse_options
from trex.page.port import listen, take_slot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trex.login.options import Options

if os.geteuid() != 0:
    pytest.skip("only root has pages", allow_module_level=True)

ALL = "0.0.0.0"  # noqa: S104 (as on a host without IPv6)


@pytest.fixture
def slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pages"
    monkeypatch.setattr("trex.page.port.SLOTS", str(path))
    return path


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


def options(*arguments: str) -> Options:
    return parse_options(list(arguments))


def test_there_are_as_many_slots_as_the_administrator_says(slots: Path) -> None:
    with pytest.raises(PageUnavailable, match=r"^0 pages are open already \(web_max=\)$"):
        take_slot(0)
    taken = [take_slot(3) for _ in range(3)]
    with pytest.raises(PageUnavailable, match=r"^3 pages are open already \(web_max=\)$"):
        take_slot(3)
    os.close(taken.pop(1))
    taken.append(take_slot(3))
    with pytest.raises(PageUnavailable):
        take_slot(3)
    taken.append(take_slot(4))
    for descriptor in taken:
        os.close(descriptor)


def test_a_slot_is_free_again_however_its_process_ends(slots: Path) -> None:
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        take_slot(1)
        os.write(sink, b".")
        while True:
            signal.pause()
    assert os.read(source, 1)
    with pytest.raises(PageUnavailable):
        take_slot(1)
    os.kill(child, 9)
    os.waitpid(child, 0)
    os.close(take_slot(1))
    os.close(source)
    os.close(sink)


def test_a_slot_belongs_to_one_login_and_closing_another_file_gives_none_back(
    slots: Path,
) -> None:
    """A lock of the process would be released with the first of its descriptors (fcntl(2))."""
    taken = take_slot(1)
    os.close(os.open(slots, os.O_RDWR))
    assert in_a_child(refused)
    assert refused()
    os.close(taken)


def refused() -> bool:
    try:
        os.close(take_slot(1))
    except PageUnavailable:
        return True
    return False


def test_nobody_but_root_can_take_slots_away(slots: Path) -> None:
    before = os.umask(0)
    try:
        descriptor = take_slot(1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(slots.stat().st_mode) == 0o600
    assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.close(descriptor)
    assert slots.read_bytes() == b""


def test_a_link_in_the_place_of_the_file_is_not_followed(slots: Path, tmp_path: Path) -> None:
    """Neither to an existing file nor to one that it would create."""
    for target in (tmp_path / "other", tmp_path / "none"):
        slots.unlink(missing_ok=True)
        slots.symlink_to(target)
        (tmp_path / "other").touch()
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            take_slot(1)
        assert not (tmp_path / "none").exists()


def test_a_file_that_cannot_be_had_is_an_error_and_no_slot(slots: Path) -> None:
    slots.mkdir()
    with pytest.raises(IsADirectoryError):
        take_slot(1)


def test_an_error_while_a_slot_is_taken_leaves_nothing_open(
    slots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "fcntl", fail)
    with pytest.raises(OSError, match="no locks available"):
        take_slot(1)

    def deny(*_: object) -> None:
        raise PermissionError(errno.EACCES, "as fcntl(2) also says for a lock that another holds")

    monkeypatch.setattr(fcntl, "fcntl", deny)
    with pytest.raises(PageUnavailable):
        take_slot(1)


def first_random(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "urandom", lambda count: number.to_bytes(count, "big"))


def test_the_first_port_is_one_of_all_and_the_rest_are_tried_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So no one can wait at the port of the next page."""

    def listened() -> list[list[int]]:
        enter_network()
        found = []
        for number in (0, 1, 2, 3, 4, 2**32 - 1):
            first_random(monkeypatch, number)
            with ExitStack() as kept:
                ports = []
                for _ in range(3):
                    listener, port = listen(options("web_ports=8440-8442"))
                    kept.enter_context(closing(listener))
                    ports.append(port)
                assert port == listener.getsockname()[1]
                with pytest.raises(PageUnavailable) as caught:
                    listen(options("web_ports=8440-8442"))
                assert str(caught.value) == "no free port from 8440 to 8442 (web_ports=)"
            found.append(ports)
        return found

    a, b, c = 8440, 8441, 8442
    assert in_a_child(listened) == [
        [a, b, c],
        [b, c, a],
        [c, a, b],
        [a, b, c],
        [b, c, a],
        [a, b, c],
    ]


def test_without_web_ports_the_system_chooses() -> None:
    listener, port = listen(options())
    with closing(listener):
        assert port == listener.getsockname()[1] > 0
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_a_port_is_free_again_at_once_after_its_last_connection() -> None:
    def again() -> list[int]:
        enter_network()
        ports = []
        for _ in range(2):
            listener, port = listen(options("web_ports=8440-8440"))
            visitor = socket.create_connection(("127.0.0.1", port))
            served, _ = socket.socket(listener.family, listener.type, 0, listener.detach()).accept()
            served.close()  # first, so TIME_WAIT stays on this side
            assert visitor.recv(1) == b""
            visitor.close()
            ports.append(port)
        return ports

    assert in_a_child(again) == [8440, 8440]


@pytest.mark.parametrize(
    ("bind", "served"),
    [("127.0.0.1", ["127.0.0.1"]), ("127.0.0.2", ["127.0.0.2"]), ("::1", ["::1"]),
     ("::", ["::1"]), (ALL, ["127.0.0.1", "127.0.0.2"]), ("", ["127.0.0.1", "127.0.0.2", "::1"])],
)  # fmt: skip
def test_it_listens_where_web_bind_says_and_nowhere_else(bind: str, served: list[str]) -> None:
    listener, port = listen(options(*([f"web_bind={bind}"] if bind else [])))
    reached = []
    with closing(listener):
        for address in ("127.0.0.1", "127.0.0.2", "::1"):
            try:
                socket.create_connection((address, port)).close()
            except ConnectionRefusedError:
                continue
            reached.append(address)
        assert not os.get_inheritable(listener.fileno())
        assert listener.type == socket.SOCK_STREAM
    assert reached == served


def test_a_host_without_ipv6_serves_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless an IPv6 address was configured: then no other one is used."""
    import _socket

    make = _socket.socket

    class NoIpv6(make):  # type: ignore[misc, valid-type]
        def __init__(self, family: int = -1, *rest: int) -> None:
            if family == _socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, *rest)

    monkeypatch.setattr(_socket, "socket", NoIpv6)
    listener, port = listen(options())
    with closing(listener):
        assert listener.family == socket.AF_INET
        assert listener.getsockname() == (ALL, port)
        assert not os.get_inheritable(listener.fileno())
    with pytest.raises(OSError, match="Address family not supported"):
        listen(options("web_bind=::1"))


def test_an_address_that_this_host_does_not_have_is_an_error_and_no_port_that_is_taken() -> None:
    for ports in ((), ("web_ports=8440-8449",)):
        with pytest.raises(OSError, match="Cannot assign requested address"):
            listen(options("web_bind=192.0.2.77", *ports))


def test_ports_that_this_process_may_not_have_are_passed_over_and_others_found() -> None:
    """Like a port below 1024 for an account that is not root (ip(7))."""

    def listened() -> list[object]:
        enter_network()
        os.setresuid(65534, 65534, 65534)
        listener, port = listen(options("web_ports=1022-1024"))
        listener.close()
        try:
            listen(options("web_ports=1022-1023"))
        except PageUnavailable:
            return [port]
        return []

    assert in_a_child(listened) == [1024]


def test_visitors_who_come_at_once_wait_in_a_queue() -> None:
    """`ss` shows a listening socket's backlog as its Send-Q."""
    import subprocess

    listener, port = listen(options("web_bind=127.0.0.1"))
    with closing(listener):
        told = subprocess.run(["ss", "-ltnH", f"sport = :{port}"], capture_output=True, check=True)
    assert told.stdout.split()[2] == b"128"
