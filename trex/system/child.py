"""Running a program as another account: irrevocably, with nothing inherited, and a deadline."""

import fcntl
import os
import select
from time import monotonic, sleep

from trex.errors import NotStarted
from trex.system.privilege import become, native
from trex.system.program import LIFELINE_FD, STATUS_FD, STDERR_FD, STDIN_FD, STDOUT_FD

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from trex.system.privilege import Account

    Leash = Callable[[int], None]
else:
    import _signal as signal  # signal.py takes a millisecond to build enumerations

PIPE_SIZE = 64 * 1024  # pipe(7): a longer text needs a larger pipe
LARGEST_PIPE = 1 << 20  # the default of fs.pipe-max-size
MAX_DESCRIPTORS = 1 << 20  # unless fs.nr_open was raised; close_range(2) takes it in one call
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
LEAST_SECONDS = 0.01  # 0 would be no timer
GRACE_MS = 2000  # in which a supervisor can end its daemons before it is killed
NOT_STARTED = b"TREX-NOT-STARTED "
NUMBERED = ": errno "


class Child:
    """A program that runs until it ends by itself, `end` is called, or this process ends."""

    def __init__(self) -> None:
        self._program = ""
        self._descriptors: set[int] = set()
        self._pid = 0
        self.pidfd, self._lifeline, self.status = -1, -1, -1
        self.through: list[str] = []  # a program and its first arguments: it becomes the program
        self.lingers = False  # killed but not ended: the file system of its files does not answer

    def start(
        self,
        arguments: list[str],
        account: "Account",
        leash: "Leash",
        inherited: dict[int, int],
        separate: "Callable[[], None] | None" = None,
    ) -> None:
        """Fork, become `account` and exec `arguments[0]`, an absolute path.

        `inherited` maps the child's descriptor numbers to this process's descriptors; the child
        also gets the status pipe and the lifeline. `leash` is called in the child, after the ids
        were dropped, and makes everything that starts there end when the lifeline closes.
        `separate` is called there before they are dropped.
        Raises NotStarted if there can be no child process.
        """
        self._program = arguments[0]
        step = "pipe"
        try:
            self.status, child_status = self.pipe()
            child_lifeline, self._lifeline = self.pipe()
            inherited = {**inherited, STATUS_FD: child_status, LIFELINE_FD: child_lifeline}
            step = "fork"
            self._pid = os.fork()
            if self._pid == 0:
                _exec([*self.through, *arguments], account, inherited, leash, separate)
            step = "pidfd_open"
            self.pidfd = os.pidfd_open(self._pid)
        except OSError as error:
            raise NotStarted(f"{self._program}: {step}: {error.strerror}") from None
        self._descriptors.add(self.pidfd)

    def end(self) -> int | None:
        """Close the lifeline, wait, kill the program if it lingers; return the exit status.

        None if there is none: never started, ended before, or reaped by the application.
        """
        self.close(self._lifeline)
        try:
            return self._reap() if self._pid else None
        finally:
            self._pid = 0
            for descriptor in list(self._descriptors):
                self.close(descriptor)

    def pipe(self) -> tuple[int, int]:
        """Return a pipe's reading and writing end; `end` closes what is still open."""
        ends = os.pipe()
        self._descriptors.update(ends)
        return ends

    def close(self, descriptor: int) -> None:
        """Close one of this child's descriptors, unless it is closed already."""
        if descriptor in self._descriptors:
            self._descriptors.remove(descriptor)
            close_surely(descriptor)

    def check_started(self, status: bytes) -> None:
        """Raise NotStarted if what came on the status pipe says so."""
        if status.startswith(NOT_STARTED):
            reason = status.removeprefix(NOT_STARTED).decode("utf-8", "replace").strip()
            step, mark, number = reason.partition(NUMBERED)
            if mark and number.isdigit():  # from a program that has no words for it
                reason = f"{step}: {os.strerror(int(number))}"
            raise NotStarted(f"{self._program}: {reason}")

    def _reap(self) -> int | None:
        if not _ends(self.pidfd, self._pid):
            # Not by its number: if the caller ignores SIGCHLD, another process may have it now. The
            # closed lifeline kills as well.
            try:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            except OSError:  # it has ended meanwhile
                pass
            self.lingers = not _ends(self.pidfd, self._pid)
        # A file system that does not answer keeps a process from ending, and a tracer keeps it from
        # being reaped: so this wait has a deadline.
        deadline = monotonic() + (0 if self.lingers else GRACE_MS / 1000)
        while True:
            try:
                ended, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:
                return None
            if ended:
                return os.waitstatus_to_exitcode(status)
            if monotonic() >= deadline:
                return None
            sleep(0.002)


def _ends(pidfd: int, pid: int) -> bool:
    """Tell whether a process ends in time; by its number if there is no pidfd."""
    deadline = monotonic() + GRACE_MS / 1000
    poll = select.poll()
    if pidfd >= 0:
        poll.register(pidfd, select.POLLIN)
    while monotonic() < deadline:
        try:
            if pidfd >= 0:
                return bool(poll.poll(milliseconds_until(deadline)))
        except OSError:  # out of memory: ask in the other way, and again
            pass
        try:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return True
        except ChildProcessError:  # it has ended, and was reaped by another thread
            return True
        sleep(0.01)
    return False


def close_surely(descriptor: int) -> None:
    """Close a descriptor. Linux closes it whatever close(2) returns, so errors are ignored."""
    try:
        os.close(descriptor)
    except OSError:
        pass


def write_whole(descriptor: int, text: bytes) -> bool:
    """Write into a pipe that may have no reader; tell whether everything fitted."""
    os.set_blocking(descriptor, False)
    try:
        if PIPE_SIZE < len(text) <= LARGEST_PIPE:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, len(text))
        return os.write(descriptor, text) == len(text)
    except (BlockingIOError, PermissionError):  # or fs.pipe-max-size is less
        return False


def end_with_parent(lifeline: int) -> None:
    """Have the kernel kill this process group when the lifeline's other end is closed everywhere.

    O_ASYNC on a pipe (fcntl(2), F_SETSIG) survives exec and does not need prctl(2), for which
    Python needs ctypes, 2 ms. Unlike PR_SET_PDEATHSIG it depends on the parent process, not on the
    thread that forked.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpid())  # negative: the group that setsid made
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    if lost(lifeline, 0):
        os._exit(1)


def end_at(deadline: float) -> "Leash":
    """Return a leash for a program that starts no other: it ends with its parent.

    The parent may be stopped or frozen for ever, so a kernel timer, which survives execve(2), ends
    the program GRACE_MS after `deadline` (monotonic).
    """

    def leash(lifeline: int) -> None:
        seconds = deadline - monotonic() + GRACE_MS / 1000
        signal.setitimer(signal.ITIMER_REAL, max(LEAST_SECONDS, seconds))
        end_with_parent(lifeline)

    return leash


def lost(lifeline: int, milliseconds: int) -> bool:
    """Wait up to `milliseconds` for the parent's end of the lifeline to close."""
    poll = select.poll()
    poll.register(lifeline, 0)  # POLLHUP is always reported
    return bool(poll.poll(milliseconds))


def _exec(
    arguments: list[str],
    account: "Account",
    inherited: dict[int, int],
    leash: "Leash",
    separate: "Callable[[], None] | None",
) -> None:
    """Become the program. Never returns; a failure is reported on the status pipe."""
    step, report = "prepare", inherited[STATUS_FD]
    try:
        _inherit(inherited)
        report = STATUS_FD
        os.setsid()  # no controlling terminal for a pinentry
        os.chdir("/")
        os.umask(0o077)
        # Ignored signals stay ignored after exec.
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if separate:
            step = "separate"
            separate()
        step = f"become {account.name}"
        become(account)
        step = "attach"
        leash(LIFELINE_FD)
        step = "run"
        os.execve(native(arguments[0]), [native(text) for text in arguments], ENVIRONMENT)
    except BaseException as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        os.write(report, NOT_STARTED + f"{step}: {reason}\n".encode())
    finally:
        os._exit(127)


def _inherit(inherited: dict[int, int]) -> None:
    """Put each descriptor at its number, /dev/null at free standard ones, and close all others."""
    first_free = max(inherited) + 1
    null = os.open("/dev/null", os.O_RDWR)
    wanted = {STDIN_FD: null, STDOUT_FD: null, STDERR_FD: null, **inherited}
    moved = {
        target: fcntl.fcntl(descriptor, fcntl.F_DUPFD, first_free)
        for target, descriptor in wanted.items()
    }
    for target, descriptor in moved.items():
        os.dup2(descriptor, target, inheritable=True)
    os.closerange(first_free, MAX_DESCRIPTORS)


def milliseconds_until(deadline: float) -> int:
    """Return the timeout for poll(2) until `deadline` (monotonic)."""
    return max(0, int((deadline - monotonic()) * 1000) + 1)
