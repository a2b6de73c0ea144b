"""Work that is done as somebody else: in a process that has become that account, for good.

Root opens no user's file and runs no program on a user's files: it asks here. What the work
starts, gpg's daemons among it, ends with it. What the work takes is bounded: time, memory, and what
it reports. A process whose file system does not answer cannot even be killed (state D, proc(5)):
then the command says so, and leaves it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shlex
import shutil
import signal
import tempfile
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from trex.cli.terminal import CommandError
from trex.errors import FileUnsafe, NotStarted, TrexError
from trex.system.child import end_with_parent, milliseconds_until
from trex.system.prctl import SET_CHILD_SUBREAPER, prctl
from trex.system.privilege import become, readable
from trex.system.supervisor import end_descendants

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.system.privilege import Account

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
NO_PROGRAM = "is it installed? Debian: apt install gnupg"  # all that is started there is gpg's
MAX_REPORT = 16 << 20
MAX_MEMORY = 1 << 30  # bytes of data, for the work and for each program that it starts
WORK_SECONDS = 120.0
FILE_SECONDS = 10.0  # for work that looks at a few files and runs nothing
END_SECONDS, KILL_SECONDS = 5.0, 2.0
_scratch: list[str] = []  # in a process that works: see scratch_directory
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KEPT = ("TERM", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "LANG", "LC_ALL", "LC_CTYPE")


def run_as(account: Account, work: Callable[[], Any], seconds: float = WORK_SECONDS) -> Any:
    """Return what `work` returns (plain data, as JSON has it) when `account` does it.

    Raises CommandError for what it raised, and if it takes longer than `seconds`; on Ctrl-C it is
    ended before that goes on. Either takes END_SECONDS and KILL_SECONDS more at most.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)  # as Ctrl-C: what was begun is taken back
    report, sink = os.pipe()
    lifeline, held = os.pipe()
    # A signal waits until the process is there to be ended, and again until it has ended.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for descriptor in (report, sink, lifeline, held):
            os.close(descriptor)
        raise
    if pid == 0:
        os.close(report)
        os.close(held)
        _serve(account, work, lifeline, sink)
    os.close(sink)
    os.close(lifeline)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        text = _read(report, monotonic() + seconds)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        has_ended = _end(pid)
        os.close(report)
        os.close(held)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if text is None:
        raise _overdue(account, seconds, has_ended=has_ended)
    return _unpack(text)


def _read(report: int, deadline: float) -> bytes | None:
    """Return what the work reports, None if it has not by the deadline."""
    poll = select.poll()
    poll.register(report, select.POLLIN)
    text = b""
    while len(text) <= MAX_REPORT:
        if not poll.poll(milliseconds_until(deadline)):
            return None
        more = os.read(report, 1 << 16)
        if not more:
            return text
        text += more
    raise CommandError(f"the work reports more than {MAX_REPORT >> 20} MiB", "is the keyring huge?")


def _overdue(account: Account, seconds: float, *, has_ended: bool) -> CommandError:
    took = f"the work on {account.name}'s files was not done in {seconds:.0f} seconds"
    if has_ended:
        return CommandError(f"{took} and was ended", "gpg --list-keys: does it hang?")
    return CommandError(
        f"{took}, and its process cannot be ended: their file system does not answer",
        f"df {shlex.quote(readable(account.home))}: does it hang? mount; umount --force",
    )


def _unpack(text: bytes) -> Any:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError(
            "the work ended without a result; is the memory or the disk full?"
        ) from None
    if "error" in told:
        raise CommandError(told["error"], told["hint"])
    return told["result"]


def _end(pid: int) -> bool:
    """Have the process end politely: it removes what it has not finished, and its daemons.

    Tell whether it has ended: a file system can keep it even from a SIGKILL.
    """
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            signal.pidfd_send_signal(pidfd, number)
            if poll.poll(seconds * 1000):
                os.waitpid(pid, 0)
                return True
        return False
    finally:
        os.close(pidfd)


def _serve(account: Account, work: Callable[[], Any], lifeline: int, sink: int) -> NoReturn:
    """Be the process that works. Its end is `os._exit`: nothing of the command goes on here.

    SIGTERM comes once, at any moment: where it interrupts the clearing up, that is done again.
    """
    try:
        try:
            _settle(account, lifeline)
            told = _told(work)
            with os.fdopen(sink, "wb") as report:
                report.write(json.dumps(told).encode())
        finally:
            _leave_nothing()
    except BaseException:
        _leave_nothing()
    finally:
        os._exit(0)


def _settle(account: Account, lifeline: int) -> None:
    """Become the account, with nothing of the caller's but what a pinentry needs."""
    os.setsid()  # a program that runs as a user must not reach into root's terminal
    prctl(SET_CHILD_SUBREAPER, 1)
    environment = _environment(account)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    become(account)
    end_with_parent(lifeline)
    _limit_memory()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir("/")
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGHUP):  # the parent passes them on as SIGTERM
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _limit_memory() -> None:
    """Have what a user's file makes grow fail here, and not use up the host."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def scratch_directory() -> str:
    """Return a new directory for the work at hand; it goes when that has ended, with all in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    _scratch.append(tempfile.mkdtemp(prefix="trex-"))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _scratch[-1]


def _leave_nothing() -> None:
    """End what was started, and only then remove the directories in which it may still write."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_descendants()
    for directory in _scratch:
        shutil.rmtree(directory, ignore_errors=True)


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _told(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": work()}
    except Exception as error:
        message, hint = _described(error)
        return {"error": message, "hint": hint}


def _described(error: Exception) -> tuple[str, str]:
    """Return what the command says of an error, and the next thing to do."""
    match error:
        case CommandError():
            return error.message, error.hint
        case FileUnsafe():
            return str(error), hint_for(error)
        case TrexError():
            return str(error), NO_PROGRAM if isinstance(error, NotStarted) else ""
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            # One that a library raises has a text, and no number.
            return f"{where}{error.strerror or error}", ""
        case MemoryError():
            return f"it needs more than {MAX_MEMORY >> 20} MiB of memory", ""
    return f"unforeseen error: {type(error).__name__}", "please report it"


def hint_for(error: FileUnsafe) -> str:
    """Return the command that mends a file or directory which is not as it must be.

    A user's link may lead to a path of any name, and root is to paste this into a shell.
    """
    path = shlex.quote(error.path)
    if error.found.startswith("mode"):
        return f"chmod go-w {path}"
    if error.found.startswith("owner"):
        return f"chown {error.meant.split()[2]}: {path}"
    return f"ls -ld {path}"


def _environment(account: Account) -> dict[str, str]:
    """Return an environment made from nothing; for oneself also what a pinentry needs."""
    made = {"HOME": account.home, "USER": account.name, "LOGNAME": account.name, "PATH": PATH}
    made["LC_ALL"] = "C.UTF-8"
    if account.uid != os.getuid():
        return made
    made |= {name: os.environ[name] for name in KEPT if name in os.environ}
    if os.isatty(0):
        made["GPG_TTY"] = os.ttyname(0)
    return made
