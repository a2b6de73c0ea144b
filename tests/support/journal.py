"""A journald of the sandbox's own, with what a test gives it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account

JOURNALD = "/lib/systemd/systemd-journald"
CGROUPS = "/sys/fs/cgroup"
SOCKET = "/run/systemd/journal/dev-log"


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Journal:
    """A journald of the sandbox's own."""

    def __init__(self) -> None:
        self._mounts = not os.path.ismount(CGROUPS)  # from systemd 257 on it ends without one
        if self._mounts:
            subprocess.run(["mount", "-t", "cgroup2", "trex-test", CGROUPS], check=True)
        Path(SOCKET).parent.mkdir(parents=True)
        Path("/run/log").mkdir()
        self._server = subprocess.Popen([JOURNALD], stderr=subprocess.DEVNULL)
        wait_for(Path(SOCKET).exists)

    def take(self, message: str) -> None:
        """Write a line as syslog(3) does, and wait until the journal has it."""
        told = message.rpartition("]: ")[2].partition(" rhost=")[0]
        with self._one_more(told), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sink:
            sink.connect(SOCKET)
            sink.send(message.encode())

    def take_from(self, user: Account, message: str) -> None:
        """Have a user's own process write a line."""
        with self._one_more(message[:60]):
            user.run("logger", "--socket", SOCKET, "--priority", "authpriv.info", "--tag", "sshd",
                     message)  # fmt: skip

    @contextmanager
    def _one_more(self, told: str) -> Iterator[None]:
        """Wait after the block until the journal has this once more: it may have one before."""
        before = self._everything().count(told)
        yield
        wait_for(lambda: self._everything().count(told) > before)

    def _everything(self) -> str:
        return subprocess.run(
            ["journalctl", "--quiet", "--output=cat"], capture_output=True, check=False
        ).stdout.decode(errors="replace")

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()
        shutil.rmtree("/run/systemd")
        shutil.rmtree("/run/log")
        if self._mounts:
            subprocess.run(["umount", CGROUPS], check=True)
