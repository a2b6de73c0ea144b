"""The way back: the program that a timer, a start of the host, cron or a watching process runs.

    back.py ID               take the activation ID back, unless it was confirmed
    back.py --due ID         the same, if its time is over or the host was started again
    back.py --watch ID FD    wait until its time is over; FD is told that this process waits

It needs Python's standard library alone, no network, no terminal, and no space on the disk.
"""

from __future__ import annotations

import os
import signal
import sys
import syslog
import time

if __name__ == "__main__":  # started isolated, by its path
    sys.path.insert(0, os.path.realpath(__file__).removesuffix("/trex/cli/activation/back.py"))

from trex.cli.activation import arm, change, plan, reload
from trex.cli.activation.witnesses import close_witnesses
from trex.cli.errors import CommandError

PAUSE = 0.5  # seconds between two looks
TRIES, TRY_SECONDS = 360, 10  # an hour, if the disk cannot be written


def take_back(identity: str) -> list[str]:
    """Restore what was before the activation; return what could not be done, [] after success.

    May be called again after each failure, and by several processes: all do the same.
    """
    for one in plan.read_plans(plan.PENDING):
        if one.identity == identity:
            plan.move(one, plan.PENDING, plan.REVERTING)
    problems: list[str] = []
    for one in plan.read_plans(plan.REVERTING):
        if one.identity == identity:
            problems += _restore(one)
    if not problems:
        _tidy_up(identity)
    return problems


def _tidy_up(identity: str) -> None:
    """Remove what a command leaves that is killed once its plan is decided."""
    for one in plan.read_plans(plan.ACTIVE):
        if one.identity == identity:
            change.unstage(one)
            close_witnesses()
    arm.disarm(identity)


def _restore(one: plan.Activation) -> list[str]:
    problems = []
    try:
        change.unstage(one, only_new=True)
    except OSError as error:  # then its place cannot be written by anybody
        problems.append(f"{error.filename}: {error.strerror}")
    for edit in reversed(one.edits):
        try:
            change.put_back(edit)
        except OSError as error:
            problems.append(f"{edit.path}: {error.strerror}")
    if problems:
        return problems
    if any(edit.path.startswith("/etc/ssh/") for edit in one.edits) and (
        told := reload.reload_sshd()
    ):
        log(f"sshd was not told to read its configuration again: {told}")
    close_witnesses()
    change.unstage(one)
    if one.ends:
        plan.forget(one, plan.ACTIVE)
    plan.forget(one, plan.REVERTING)
    log(f"{one.service}: {'ended' if one.ends else 'not confirmed, so taken back'}")
    return []


def log(text: str) -> None:
    """Write a line into the log."""
    syslog.openlog("trex", syslog.LOG_PID, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_WARNING, f"activation: {text}")


def main(words: list[str]) -> int:
    """Return the exit status: 1 if something could not be restored."""
    kind, identity = (words[0], words[1]) if words[0].startswith("--") else ("", words[0])
    if kind == "--watch":
        return _watch(identity, int(words[2]))
    if kind == "--due" and not any(one.is_due for one in _waiting(identity)):
        return 0
    problems = take_back(identity)
    for problem in problems:
        log(f"not taken back: {problem}")
    return 1 if problems else 0


def _waiting(identity: str) -> list[plan.Activation]:
    found = [*plan.read_plans(plan.PENDING), *plan.read_plans(plan.REVERTING)]
    return [one for one in found if one.identity == identity]


def _watch(identity: str, ready: int) -> int:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)  # from the terminal where it was started
    if os.fork():  # whoever has started it has no child to wait for
        os._exit(0)
    os.write(ready, b"\n")
    os.close(ready)
    while (waiting := _waiting(identity)) and not waiting[0].is_due:
        time.sleep(PAUSE)
    for _ in range(TRIES):
        if not _waiting(identity):
            return 0
        if main([identity]) == 0:
            return 0
        time.sleep(TRY_SECONDS)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (CommandError, OSError) as error:
        log(f"not taken back: {error}")
        sys.exit(1)
