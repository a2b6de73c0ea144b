"""A user's processes, and their certain end.

logind ends sessions with all that belongs to them, of root's as well. Where it does not run, and
afterwards for what it does not know, a process that has become the user ends all others of that
user in one step (kill(2) with -1), so none can flee by starting another.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from trex.cli.delegate import PATH, run_as
from trex.cli.errors import CommandError
from trex.errors import one_line

if TYPE_CHECKING:
    from trex.system.privilege import Account

LOGINCTL = "/usr/bin/loginctl"
LOGIND = "/run/systemd/seats"  # sd_booted(3) says the same of systemd: logind makes this one
SECONDS = 30  # for logind, and for processes to end by themselves
PAUSE = 0.1
MOST_SHOWN = 6


class Process(NamedTuple):
    """A process of a user's."""

    pid: int
    name: str


def processes_of(account: Account) -> list[Process]:
    """Return the processes that have one of their ids from this account."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and int(entry) != os.getpid():
            with suppress(OSError):
                status = _read(f"/proc/{entry}/status")
                if _is_of(status, account.uid):
                    name = status.partition(b"\n")[0].partition(b"\t")[2]
                    found.append(Process(int(entry), name.decode("utf-8", "replace")))
    return found


def _is_of(status: bytes, uid: int) -> bool:
    """Tell whether /proc/PID/status is that of a user's process which has not ended."""
    fields = dict(line.split(b":", 1) for line in status.splitlines() if b":" in line)
    has_ended = fields.get(b"State", b"").strip().startswith((b"Z", b"X"))
    return b"%d" % uid in fields.get(b"Uid", b"").split() and not has_ended


def described(processes: list[Process]) -> str:
    """Return how many processes there are, and some names: `3 processes (bash, sshd, vim)`."""
    names = sorted({one_line(process.name) for process in processes})
    more = ", ..." if len(names) > MOST_SHOWN else ""
    count = "1 process" if len(processes) == 1 else f"{len(processes)} processes"
    return f"{count} ({', '.join(names[:MOST_SHOWN])}{more})"


def check_may_end(account: Account) -> None:
    """Raise CommandError unless root asks, and for another than root: its are the system's."""
    if os.geteuid() != 0:
        raise CommandError(
            "only root can end sessions", f"loginctl terminate-user {shlex.quote(account.name)}"
        )
    if account.uid == 0:
        raise CommandError(
            "root's sessions cannot be told from the system's own processes",
            "loginctl list-sessions; loginctl terminate-session ID",
        )


def end_sessions(account: Account) -> list[Process]:
    """End all processes of a user; return those that stay."""
    if os.path.isdir(LOGIND) and os.path.exists(LOGINCTL):
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 (an absolute path and a list)
                [LOGINCTL, "terminate-user", "--", account.name], check=False, env={"PATH": PATH},
                timeout=SECONDS, stdin=subprocess.DEVNULL, capture_output=True,
            )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGKILL):
        if processes_of(account):
            run_as(account, partial(_signal_all, number))
            _wait_until_ended(account)
    return processes_of(account)


def _signal_all(number: int) -> None:
    """Signal every other process of this one's user, and a stopped one, too."""
    for one in (number, signal.SIGCONT):
        with suppress(ProcessLookupError):  # there is none
            os.kill(-1, one)


def _wait_until_ended(account: Account) -> None:
    deadline = time.monotonic() + SECONDS / 3
    while processes_of(account) and time.monotonic() < deadline:
        time.sleep(PAUSE)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
