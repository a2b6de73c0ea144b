"""Landlock: what is named stays, everything else goes, for root too."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.forked import in_a_child
from trex.system import landlock
from trex.system.landlock import ALL, READ, READ_FILE, RUN, WRITE_FILE, restrict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

needs_landlock = pytest.mark.skipif(
    landlock.version() == 0, reason="this kernel has no Landlock, so that nothing is restricted"
)


def outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except OSError as error:
        return type(error).__name__
    return "worked"


@needs_landlock
def test_what_is_not_named_cannot_be_opened(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for place in (inside, outside):
        place.mkdir()
        (place / "file").write_text("x")
    (inside / "link").symlink_to(outside / "file")

    def tried() -> list[str]:
        restrict([(str(inside), READ)])
        return [
            outcome((inside / "file").read_text),
            outcome(lambda: os.listdir(inside)),
            outcome((inside / "link").read_text),
            outcome((outside / "file").read_text),
            outcome(lambda: os.listdir(outside)),
            outcome(lambda: (inside / "file").write_text("y")),
            outcome((inside / "new").touch),
            outcome((inside / "file").unlink),
            outcome(lambda: os.truncate(inside / "file", 0)),
        ]

    assert in_a_child(tried) == ["worked", "worked"] + ["PermissionError"] * 7


@needs_landlock
def test_a_link_that_is_named_stands_for_its_file(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place/file").write_text("x")
    (tmp_path / "link").symlink_to("place/file")

    def tried() -> list[str]:
        restrict([(str(tmp_path / "link"), READ)])
        return [
            outcome((tmp_path / "link").read_text),
            outcome(lambda: os.listdir(tmp_path / "place")),
        ]

    assert in_a_child(tried) == ["worked", "PermissionError"]


@needs_landlock
def test_what_was_open_stays_so_and_pipes_can_be_opened_by_their_names(tmp_path: Path) -> None:
    """gpg opens its options and its keys so; OpenSSL a file in memory."""
    (tmp_path / "file").write_text("x")

    def tried() -> list[object]:
        descriptor = os.open(tmp_path / "file", os.O_RDONLY)
        reading, writing = os.pipe()
        memory = os.memfd_create("memory")
        restrict([])
        os.write(writing, b"y")
        return [
            os.read(descriptor, 1),
            os.read(os.open(f"/proc/self/fd/{reading}", os.O_RDONLY), 1),
            outcome(lambda: os.open(f"/proc/self/fd/{memory}", os.O_RDONLY)),
        ]

    assert in_a_child(tried) == [b"x", b"y", "worked"]


@needs_landlock
def test_missing_paths_are_left_out_and_programs_run_where_they_may(tmp_path: Path) -> None:
    def tried(rights: int) -> int:
        restrict([
            (str(tmp_path / "missing"), READ), ("/usr", rights), ("/lib", rights),
            ("/lib64", rights), ("/etc/ld.so.cache", READ), ("/dev/null", READ_FILE | WRITE_FILE),
        ])  # fmt: skip
        return os.system("exit 7") >> 8  # noqa: S605 (nothing of it comes from elsewhere)

    assert in_a_child(lambda: tried(RUN)) == 7
    assert in_a_child(lambda: tried(READ)) == 127


@needs_landlock
def test_no_tcp_and_no_signals_where_the_kernel_knows_them() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    parent = os.getpid()

    def tried() -> list[str]:
        restrict([("/", ALL)])
        return [
            outcome(lambda: socket.create_connection(server.getsockname(), 5)),
            outcome(lambda: socket.create_server(("127.0.0.1", 0))),
            outcome(lambda: os.kill(parent, 0)),
        ]

    tcp = "PermissionError" if landlock.version() >= 4 else "worked"
    signals = "PermissionError" if landlock.version() >= 6 else "worked"
    assert in_a_child(tried) == [tcp, tcp, signals]
    server.close()


@pytest.mark.parametrize("version", [v for v in range(1, 7) if v <= landlock.version()])
def test_a_kernel_with_an_older_version_gets_what_it_knows(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: version)

    def tried() -> list[str]:
        restrict([("/usr", READ), ("/dev", ALL)])
        return [outcome(lambda: os.listdir("/usr")), outcome(lambda: os.listdir("/"))]

    assert in_a_child(tried) == ["worked", "PermissionError"]


def test_without_landlock_nothing_is_restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)

    def tried() -> str:
        restrict([])
        return outcome(lambda: os.listdir("/"))

    assert in_a_child(tried) == "worked"
