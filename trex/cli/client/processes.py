"""Names for processes that no other process has, on any machine that shares the home."""

from __future__ import annotations

import os
import time

from trex.cli.client.child import RunningProgram
from trex.cli.errors import StoreError

BOOT, PROCESSES = "/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"
STARTED = 19  # index in /proc/PID/stat, after the name (proc(5))
SECONDS = 10
# In place of the start of a process that only root may look at (proc(5), hidepid), such as sudo.
# The risk: another one gets its pid before anybody has asked here again, and is refused once.
HIDDEN = "hidden"
OLDEST = 2 * 86400  # seconds: twice as long as any challenge may be valid


def process_name(pid: int) -> str:
    """Return `PID-START@PLACE`, which stays the same when the process becomes another program.

    Raises StoreError if there is no such process.
    """
    return f"{pid}-{_started(pid)}@{_here()}"


def program_name(pid: int) -> str:
    """Return the name of the program that a process runs."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    except OSError:
        return os.path.basename(_ask_ps(pid, "comm"))


def forget_ended(directory: str) -> None:
    """Delete the files in `directory` whose names are those of processes that have ended.

    Processes elsewhere cannot be checked from here: their files are deleted when every challenge
    that they may have shown has expired. Raises OSError.
    """
    oldest, here = time.time() - OLDEST, _here()
    for entry in os.scandir(directory):
        process, _, where = entry.name.partition("@")
        pid, _, started = process.partition("-")
        try:
            if where != here:
                is_over = entry.stat(follow_symlinks=False).st_mtime < oldest
            else:
                is_over = pid.isdecimal() and not _is_there(int(pid), started)
            if is_over:
                os.unlink(entry.path)
        except FileNotFoundError:  # another process has deleted it
            continue


def _started(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(") ")[2].split()[STARTED]
    except OSError:
        told = _ask_ps(pid, "lstart").split()
    if told:
        return "-".join(told)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise StoreError("the program that asks has ended") from None
    except PermissionError:
        pass  # it is there, with another user's ids
    return HIDDEN


def _here() -> str:
    """Return what identifies this boot, machine and PID namespace."""
    try:
        with open(BOOT, encoding="ascii") as boot:
            return f"{boot.read().strip()}-{os.stat(PROCESSES).st_ino}"
    except OSError:
        from trex.openpgp.prompt import encoded  # only on systems without /proc

        return encoded(os.uname().nodename)


def _ask_ps(pid: int, field: str) -> str:
    """Return what ps(1) says of a process, for systems without /proc; "" for nothing."""
    command = ["/bin/ps", "-o", f"{field}=", "-p", str(pid)]
    try:
        child = RunningProgram(command, environment={"LC_ALL": "C", "TZ": "UTC"})
    except OSError:
        return ""
    child.finish(SECONDS)
    return child.output.decode("utf-8", "replace").strip()


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
