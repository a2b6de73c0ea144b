"""A FUSE file system whose server takes every question and answers none: sshfs with a dead peer.

Whoever asks for a file there sleeps in the kernel (state D), where no signal ends it, until the
server has gone. Protocol: fuse(4), and include/uapi/linux/fuse.h in Linux.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import stat
import struct
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tests.support.sandbox import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE = os.makedev(10, 229)
INIT, VERSION = 26, (7, 12)
REQUEST = 1 << 17  # bytes; a server must have room for a whole write
LAZILY = 2  # MNT_DETACH (umount2(2))


class Silent:
    """The mount, and its server's process."""

    def __init__(self, place: Path, server: int) -> None:
        self.place = place
        self._server = server

    def end(self) -> None:
        """End the server: whoever waits for it gets an error, and can be ended."""
        if self._server:
            os.kill(self._server, signal.SIGKILL)
            os.waitpid(self._server, 0)
            self._server = 0


@contextmanager
def silent(place: Path) -> Iterator[Silent]:
    """Cover `place` with the file system, for as long as the block."""
    device = PLACE / "fuse"
    os.mknod(device, stat.S_IFCHR | 0o600, DEVICE)
    ready, sink = os.pipe()
    server = os.fork()
    if server == 0:
        _serve(device, place, sink)
    os.close(sink)
    covered = Silent(place, server)
    try:
        assert os.read(ready, 1) == b"+", "no file system by FUSE to be had"
        yield covered
    finally:
        os.close(ready)
        covered.end()
        device.unlink()
        _libc().umount2(bytes(place), LAZILY)


def is_stuck(pid: int) -> bool:
    """Tell whether a process sleeps where no signal reaches it."""
    return state_of(pid) == "D"


def state_of(pid: int) -> str:
    """Return a process's state (proc(5)), "" if there is none."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return line.rpartition(")")[2].split()[0]


def wait_until_gone(pids: list[int], seconds: float = 30) -> None:
    """Wait for processes that are no children of this one, and that nobody may reap (state Z)."""
    deadline = time.monotonic() + seconds
    while any(state_of(pid) not in ("", "Z") for pid in pids):
        assert time.monotonic() < deadline, pids
        time.sleep(0.01)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _serve(device: Path, place: Path, sink: int) -> NoReturn:
    try:
        connection = os.open(device, os.O_RDWR)
        told = f"fd={connection},rootmode=40000,user_id=0,group_id=0,allow_other"
        if _libc().mount(b"silent", bytes(place), b"fuse", 0, told.encode()):
            sys.exit(os.strerror(ctypes.get_errno()))
        code, unique = struct.unpack_from("=4xIQ", os.read(connection, REQUEST))
        assert code == INIT
        answer = struct.pack("=III12xI", *VERSION, 0, 0).ljust(40, b"\0")
        os.write(connection, struct.pack("=IiQ", 16 + len(answer), 0, unique) + answer)
        os.write(sink, b"+")
        while True:
            select.select([connection], [], [])
            os.read(connection, REQUEST)
    finally:
        os._exit(1)
