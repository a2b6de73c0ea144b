"""Programs that `trex.system` starts as another account."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trex.system.child import end_with_parent
from trex.system.filter import Filter
from trex.system.privilege import find_account

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trex.system.filter import Finished

# Everything that a program starts with, on its standard output.
TELL = """#!/usr/bin/python3 -I
import os, signal
told = [os.getresuid(), os.getresgid(), os.getgroups(), dict(os.environ), os.getcwd(),
        os.umask(0), os.getsid(0) == os.getpid(), sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
        signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set(), os.readlink("/proc/self/fd/2"),
        [line.split()[1] for line in open("/proc/self/status") if line.startswith("SigIgn")],
        os.read(0, 9), os.read(5, 9)]
os.write(1, repr(told).encode())
os.write(3, b"status")
"""


def script(program: Path, text: str) -> Path:
    program.write_text(f"#!/bin/sh\n{text}\n")
    return program


def run(
    program: Path, *, seconds: float = 20, stdin: bytes = b"in", keys: Sequence[bytes] = ()
) -> Finished:
    """Run a filter as nobody, from its start to its end."""
    child = Filter()
    try:
        child.start_filter([str(program)], find_account("nobody"), end_with_parent, len(keys))
        child.feed(stdin, b"told", keys)
        return child.finish(time.monotonic() + seconds)
    finally:
        child.end()
