"""Servers that a test starts on loopback: a port for one, that it listens, and its end."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

START_SECONDS = 60
END_SECONDS = 30


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(
    port: int, process: subprocess.Popen[bytes], said: Callable[[], str] = str
) -> None:
    """Wait until the server listens; `said` is what it had to say if it has ended."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, said()
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def wait_for_socket(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server listens at a Unix socket: bind(2) makes its file before."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"{process.args!r} has ended"
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server, and see it end."""
    process.terminate()
    process.wait(END_SECONDS)
