"""Work that is killed, or fails, before each of its steps in turn: what sys.audit(3) tells of.

A step is whatever changes something: a file that is opened for writing, renamed, removed or given away,
a directory, a program that is started, a signal.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEPS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.kill",
         "os.link", "os.symlink", "os.utime", "subprocess.Popen")  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
MAX_STEPS = 300
DONE, FAILED = 0, 3


def killed(work: Callable[[], Any]) -> Iterator[int]:
    """Run `work` in a process that is killed before its first step, its second and so on.

    Yield the step's number each time, until the work is done before its step comes.
    """
    for number in range(MAX_STEPS):
        status = _in_child(work, number, _kill)
        if status == DONE:
            return
        assert status == -signal.SIGKILL, f"step {number}: {status}"
        yield number
    raise AssertionError("more steps than expected")


def failing(work: Callable[[], Any], code: int = errno.ENOSPC) -> Iterator[int]:
    """The same with a step that fails, as on a full disk. Yield it where the work has failed."""
    for number in range(MAX_STEPS):
        hit: list[bool] = []
        read, write = os.pipe()

        def fail(write: int = write) -> None:
            os.write(write, b"x")
            raise OSError(code, os.strerror(code), "/a/file")

        status = _in_child(work, number, fail)
        os.close(write)
        hit = [bool(os.read(read, 1))]
        os.close(read)
        if not hit[0]:
            assert status == DONE
            return
        assert status in (DONE, FAILED), f"step {number}: {status}"
        yield number
    raise AssertionError("more steps than expected")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def _in_child(work: Callable[[], Any], number: int, action: Callable[[], None]) -> int:
    """Return how the child ended, as subprocess does."""
    pid = os.fork()
    if pid == 0:
        status = FAILED
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.dup2(sys.stdout.fileno(), sys.stderr.fileno())
            left = [number]

            def heed(event: str, arguments: tuple[Any, ...]) -> None:
                is_step = event in STEPS
                if event == "open" and isinstance(arguments[2], int):
                    is_step = bool(arguments[2] & WRITING) and arguments[0] != os.devnull
                if is_step and left:
                    left[0] -= 1
                    if left[0] < 0:
                        left.clear()
                        action()

            sys.addaudithook(heed)
            work()
            status = DONE
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
