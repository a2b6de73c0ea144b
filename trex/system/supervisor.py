"""A process between the login and a program that starts daemons: when the program ends, so do they.

gpg starts gpg-agent to sign, and keyboxd for a keyring that it keeps. Such daemons would outlive
the login. This process adopts them (PR_SET_CHILD_SUBREAPER, prctl(2)) and ends what it adopted.
They belong to this login alone, because the login has a home directory of its own.
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
            """Create it, and change to it."""

        def remove(self) -> None:
            """Leave it, and remove it."""


TERMINATION_SECONDS = 0.9  # twice this is less than child.GRACE_MS, which the login waits
MAX_STAT = 4096  # a line of about fifty numbers and a name of at most 64 bytes (proc(5))
NEARBY = 8192  # pids after a process's own, among which its descendants are
FIRST_AGAIN = 300  # the pid after the largest one (RESERVED_PIDS in Linux's kernel/pid.c)


def supervised(home: "Home", deadline: float) -> "Leash":
    """Return a leash for `Child.start`: the program runs in `home`, until `deadline` (monotonic).

    The caller of su can stop the login, so the supervisor has its own timer.
    """

    def leash(lifeline: int) -> None:
        _forget_handlers()
        signal.setitimer(signal.ITIMER_REAL, max(LEAST_SECONDS, deadline - monotonic()))
        _fill(home)
        signal.setitimer(signal.ITIMER_REAL, 0)  # from here on there are more processes to end
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
        finally:  # also if it cannot be watched
            end_descendants()
            home.remove()
        os._exit(code)

    return leash


def _fill(home: "Home") -> None:
    """Fill the home, or remove what there is of it.

    The caller of su can set a limit on files (RLIMIT_FSIZE): reaching it is an error here, and does
    not end the process.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        home.fill()
    except BaseException:
        home.remove()
        raise
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def _forget_handlers() -> None:
    """Reset the caller's signal handlers: there is no exec here that would do it."""
    for number in range(1, signal.SIGRTMIN):
        with suppress(OSError, ValueError):  # KILL and STOP, and those that libc reserves
            signal.signal(number, signal.SIG_DFL)


def _watch(program: int, lifeline: int, deadline: float) -> int:
    """Wait for the program, the login's end or the deadline; return a shell's exit status."""
    poll = select.poll()
    poll.register(os.pidfd_open(program), select.POLLIN)
    poll.register(lifeline, 0)
    poll.poll(milliseconds_until(deadline))
    ended, status = os.waitpid(program, os.WNOHANG)
    code = os.waitstatus_to_exitcode(status) if ended else -signal.SIGKILL
    return code if code >= 0 else 128 - code


def end_descendants() -> None:
    """End what is left, with SIGTERM first: gpg-agent then removes its sockets."""
    polite = monotonic() + TERMINATION_SECONDS
    while _has_children() and monotonic() < polite + TERMINATION_SECONDS:
        kind = signal.SIGTERM if monotonic() < polite else signal.SIGKILL
        for child in _listed_children() or _searched_children():
            with suppress(PermissionError):  # a set-user-ID program from an agent's configuration
                os.kill(child, kind)
        sleep(0.002)


def _has_children() -> bool:
    """Reap what has ended, and tell whether there is more: wait(2) knows, even without /proc."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _listed_children() -> list[int]:
    """Return this process's children: its own program, and the orphans that it adopted.

    Without a descriptor or memory for that, it returns only some: it is called again soon.
    """
    own = os.getpid()
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    return [int(name) for name in names if name.isdigit() and _parent(name) == own]


def _searched_children() -> list[int]:
    """Return children that wait(2) knows, for a /proc that cannot be read or hides them.

    Mounted with `hidepid` (proc(5)) it hides processes that cannot be traced, such as Debian's
    gpg-agent.
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
    except OSError:  # it has ended, or belongs to another account and is hidden
        return 0
