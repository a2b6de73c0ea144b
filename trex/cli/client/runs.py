"""Each ssh run gets one challenge answered: an empty file marks each run that has shown one.

A server can ask as often as it likes in one login, and ssh itself asks three times. At the second
challenge ssh is ended: it could only be another failed attempt, or a challenge of another server.

Several machines or containers may share the home. None of them deletes the marks of another: each
sees only its own processes, so an ssh that runs elsewhere would look as if it had ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

from trex.cli.client.context import MOST_AHEAD
from trex.cli.client.store import make_directory, own_directory
from trex.cli.errors import Refused, StoreError
from trex.openpgp.prompt import encoded

BOOT, PROCESSES = "/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"
STARTED = 19  # index in /proc/PID/stat, after the name (proc(5))
SECONDS = 10
SSH = "ssh"


class AskedAgain(Refused):
    """The ssh that asks has shown a challenge before."""


def begin() -> None:
    """Mark that the ssh that started this process shows a challenge now.

    Raises AskedAgain if it has shown one before, answered or not, or StoreError.
    """
    directory = os.path.join(own_directory("XDG_STATE_HOME", ".local/state"), "runs")
    ssh, here = os.getppid(), _here()
    name = f"{ssh}-{_started(ssh)}@{here}"
    try:
        make_directory(directory)
        _forget_ended(directory, here)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(os.path.join(directory, name), flags, 0o600))
    except FileExistsError:
        raise AskedAgain(
            "this login has shown a challenge before, and only one is answered", "log in again"
        ) from None
    except OSError as error:
        raise StoreError(f"{directory}: cannot be written: {error.strerror}") from None


def end_ssh() -> None:
    """End the ssh that asks. If the parent process is not an ssh, such as a shell, leave it."""
    ssh = os.getppid()
    if _name(ssh) == SSH:
        with suppress(OSError):
            os.kill(ssh, signal.SIGTERM)


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    except OSError:
        return os.path.basename(_ask_ps(pid, "comm"))


def _started(pid: int) -> str:
    """Return when a process was started: together with `_here` and the pid it identifies one.

    Raises StoreError if that cannot be found out.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(") ")[2].split()[STARTED]
    except OSError:
        told = _ask_ps(pid, "lstart").split()
    if not told:
        raise StoreError("cannot find out which ssh asks", "does ps work?")
    return "-".join(told)


def _here() -> str:
    """Return what identifies this boot, machine and PID namespace."""
    try:
        with open(BOOT, encoding="ascii") as boot:
            return f"{boot.read().strip()}-{os.stat(PROCESSES).st_ino}"
    except OSError:
        return encoded(os.uname().nodename)


def _ask_ps(pid: int, field: str) -> str:
    """Return what ps(1) says of a process, for systems without /proc; "" for nothing."""
    try:
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            ["/bin/ps", "-o", f"{field}=", "-p", str(pid)], capture_output=True, check=False,
            timeout=SECONDS, env={"LC_ALL": "C", "TZ": "UTC"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _forget_ended(directory: str, here: str) -> None:
    """Delete the files of processes that have ended.

    Processes elsewhere cannot be checked from here: their files are deleted when every challenge
    that they may have shown has expired.
    """
    oldest = time.time() - 2 * MOST_AHEAD.total_seconds()
    for entry in os.scandir(directory):
        process, _, where = entry.name.partition("@")
        pid, _, started = process.partition("-")
        with suppress(FileNotFoundError):  # another process has deleted it
            if where != here:
                is_over = entry.stat(follow_symlinks=False).st_mtime < oldest
            else:
                is_over = pid.isdecimal() and not _is_there(int(pid), started)
            if is_over:
                os.unlink(entry.path)


def _is_there(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
        return _started(pid) == started
    except StoreError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's: the pid was reused
        return False
