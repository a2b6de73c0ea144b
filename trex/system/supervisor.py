"""A process between the login and a gpg that starts daemons: when gpg ends, so do they.

Signing needs gpg-agent, and a keyring kept by keyboxd needs that. gpg starts them as daemons that
would outlive the login. Here their ancestor adopts them (PR_SET_CHILD_SUBREAPER, prctl(2)) and
ends what it adopted. They belong to this login alone: their home directory is its own.
"""

import os
import select
import signal
from contextlib import suppress
from itertools import chain
from time import monotonic, sleep

from trex.system.child import LEAST_SECONDS, milliseconds_until
from trex.system.prctl import SET_CHILD_SUBREAPER, SET_PDEATHSIG, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from trex.system.child import Leash

    class Home(Protocol):
        """A home directory for the program, see `trex.openpgp.privatehome`."""

        def fill(self) -> None:
            """Make it, and enter it."""

        def remove(self) -> None:
            """Leave it, and take it away."""


TERMINATION_SECONDS = 0.9  # twice, and the login still waits (child.GRACE_MS)
MAX_STAT = 4096  # a line of some fifty numbers and a name of 64 bytes at most (proc(5))
NEARBY = 8192  # numbers after a process's own, among which are the processes that it has caused
FIRST_AGAIN = 300  # the number after the largest (RESERVED_PIDS in Linux's kernel/pid.c)


def supervised(home: "Home", deadline: float) -> "Leash":
    """Return a leash for `Child.start`: the program runs in `home`, until `deadline` (monotonic).

    The login may be stopped by whoever has called su, so the supervisor has a clock of its own.
    """

    def leash(lifeline: int) -> None:
        _forget_handlers()
        signal.setitimer(signal.ITIMER_REAL, max(LEAST_SECONDS, deadline - monotonic()))
        _fill(home)
        signal.setitimer(signal.ITIMER_REAL, 0)  # from here on there is more to end than this
        prctl(SET_CHILD_SUBREAPER, 1)
        supervisor = os.getpid()
        program = os.fork()
        if program == 0:
            prctl(SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(1)
            return
        try:
            code = _watch(program, lifeline, deadline)
        finally:  # also where it cannot be watched
            end_descendants()
            home.remove()
        os._exit(code)

    return leash


def _fill(home: "Home") -> None:
    """Fill the home, or take away what there is of it.

    A limit on files (RLIMIT_FSIZE) is whoever's who has called su: it is an error, and no end.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        home.fill()
    except BaseException:
        home.remove()
        raise
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def _forget_handlers() -> None:
    """Undo what the caller has set for signals: there is no exec here that would do it."""
    for number in range(1, signal.SIGRTMIN):
        with suppress(OSError, ValueError):  # KILL and STOP, and those that libc keeps for itself
            signal.signal(number, signal.SIG_DFL)


def _watch(program: int, lifeline: int, deadline: float) -> int:
    """Wait until the program ends, the login has gone or time is up; return what a shell would."""
    poll = select.poll()
    poll.register(os.pidfd_open(program), select.POLLIN)
    poll.register(lifeline, 0)
    poll.poll(milliseconds_until(deadline))
    ended, status = os.waitpid(program, os.WNOHANG)
    code = os.waitstatus_to_exitcode(status) if ended else -signal.SIGKILL
    return code if code >= 0 else 128 - code


def end_descendants() -> None:
    """End what is left, politely first: gpg-agent then removes its sockets."""
    polite = monotonic() + TERMINATION_SECONDS
    while _has_children() and monotonic() < polite + TERMINATION_SECONDS:
        kind = signal.SIGTERM if monotonic() < polite else signal.SIGKILL
        for child in _listed_children() or _searched_children():
            with suppress(PermissionError):  # a set-user-ID program that an agent's settings name
                os.kill(child, kind)
        sleep(0.002)


def _has_children() -> bool:
    """Reap what has ended, and tell whether there is more: wait(2) knows, whatever /proc shows."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _listed_children() -> list[int]:
    """Return this process's children: its own program, and the orphans that it adopted.

    Where there is no descriptor or memory for that, it is a part of them: asked again soon.
    """
    own = os.getpid()
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    return [int(name) for name in names if name.isdigit() and _parent(name) == own]


def _searched_children() -> list[int]:
    """Return children that wait(2) knows, for where /proc cannot be read or does not show them.

    Mounted with `hidepid` (proc(5)) it shows no process that lets nobody trace it, and Debian's
    gpg-agent is one.
    """
    own = os.getpid()
    numbers = chain(range(own + 1, own + NEARBY), range(FIRST_AGAIN, FIRST_AGAIN + NEARBY))
    return [number for number in numbers if _is_child(number)]


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _parent(pid: str) -> int:
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return int(os.read(descriptor, MAX_STAT).rpartition(b")")[2].split()[1])
        finally:
            os.close(descriptor)
    except OSError:  # ended meanwhile, or hidden because it is somebody else's
        return 0
