"""Work done as another account: in a child process that becomes that account for good.

Root opens no user's file and runs no program on one; it delegates that to such a process. All that
the work starts ends with it, gpg's daemons too. Its time, memory and report are bounded. A process
that waits for a dead file system cannot be killed (state D, proc(5)): the command then says so and
leaves it behind.
"""

from __future__ import annotations

import json
import os
import pwd
import resource
import select
import shlex
import shutil
import signal
import tempfile
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from trex.cli.errors import CommandError
from trex.errors import OWNER, READABLE, WRITABLE, FileUnsafe, NotStarted, TrexError
from trex.system.child import end_with_parent, milliseconds_until
from trex.system.prctl import SET_CHILD_SUBREAPER, prctl
from trex.system.privilege import become, native, readable
from trex.system.supervisor import end_descendants

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.system.privilege import Account

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
NO_PROGRAM = "is it installed? Debian: apt install gnupg"  # only gpg is started there
FIXES = {
    OWNER: "chown -h {owner}: {path}",  # their user may put a link there before it is typed
    WRITABLE: "chmod go-w {path}",
    READABLE: "chmod 600 {path}",
}
IS_ROOT = os.geteuid() == 0  # the command; some of its work runs as the user whom it is about
MAX_REPORT = 16 << 20  # bytes
MAX_MEMORY = 1 << 30  # bytes of data, for the work and for each program it starts
WORK_SECONDS = 120.0
FILE_SECONDS = 10.0  # for work that reads a few files and runs no program
END_SECONDS, KILL_SECONDS = 5.0, 2.0
_scratch: list[str] = []  # used in the child only: see scratch_directory
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KEPT = ("TERM", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "LANG", "LC_ALL", "LC_CTYPE")


def run_as(account: Account, work: Callable[[], Any], seconds: float = WORK_SECONDS) -> Any:
    """Run `work` as `account` and return its result, which must be plain JSON data.

    Raises CommandError if the work raises, or takes longer than `seconds`. On Ctrl-C the child is
    ended before KeyboardInterrupt goes on. Either takes at most END_SECONDS + KILL_SECONDS more.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)  # like Ctrl-C: unfinished changes are undone
    report, sink = os.pipe()
    lifeline, held = os.pipe()
    # Block signals until the child exists and can be ended, and again while it is being ended.
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
    """Return the whole report, or None if it is not complete by the deadline."""
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
    raise CommandError(
        f"expected a report of at most {MAX_REPORT >> 20} MiB, found a larger one",
        "is the keyring very large?",
    )


def _overdue(account: Account, seconds: float, *, has_ended: bool) -> CommandError:
    took = f"the work on {account.name}'s files did not finish in {seconds:.0f} seconds"
    if has_ended:
        return CommandError(f"{took} and was ended", "does gpg --list-keys hang?")
    return CommandError(
        f"{took}, and its process cannot be ended: their file system does not answer",
        f"df {shlex.quote(readable(account.home))}: does it hang? see mount, umount --force",
    )


def _unpack(text: bytes) -> Any:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError(
            "the work ended without a result; is memory or disk space exhausted?"
        ) from None
    if "error" in told:
        raise CommandError(told["error"], told["hint"])
    return told["result"]


def _end(pid: int) -> bool:
    """End the child and return whether it has ended.

    SIGTERM lets it remove its unfinished files and end its daemons. Even after SIGKILL, a process
    that waits for a file system can remain.
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
    """Do the work in the child. It ends in `os._exit`, so no code of the command runs here.

    SIGTERM comes once, at any moment. If it interrupts the cleanup, the cleanup runs again.
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
    """Become the account. Nothing of the caller's stays but what a pinentry needs."""
    os.setsid()  # a user's program must not reach root's terminal
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
    """Limit memory: a user's file must not be able to exhaust the host's."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def scratch_directory() -> str:
    """Return a new directory, which is removed with its content when the work ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    _scratch.append(tempfile.mkdtemp(prefix="trex-"))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _scratch[-1]


def _leave_nothing() -> None:
    """End all child processes, then remove the directories in which they could still write."""
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
    """Return the command's message for an error, and its hint."""
    match error:
        case CommandError():
            return str(error), error.hint
        case FileUnsafe():
            return str(error), hint_for(error)
        case TrexError():
            return str(error), NO_PROGRAM if isinstance(error, NotStarted) else ""
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            # Libraries raise OSError with a text and without a number.
            return f"{where}{error.strerror or error}", ""
        case MemoryError():
            return f"it needs more than {MAX_MEMORY >> 20} MiB of memory", ""
    return f"unforeseen error: {type(error).__name__}", "please report it"


def hint_for(error: FileUnsafe) -> str:
    """Return the shell command that fixes an unsafe file or directory, or that shows it.

    The path is quoted: a user's link may lead to a path of any name, and root pastes the command.
    """
    command = FIXES.get(error.kind, "ls -ld {path}")
    told = command.format(path=shlex.quote(error.path), owner=shlex.quote(error.owner))
    owner = _owner_of(error.path) if error.kind in (WRITABLE, READABLE) else "root"
    return as_user(owner, told)  # chmod(1) follows a link, which the owner can put there


def as_user(name: str, command: str) -> str:
    """Return a command as root types it for another account: root touches no file of a user's."""
    if name == "root" or not IS_ROOT:
        return command
    return f"runuser -u {shlex.quote(name)} -- {command}"


def _owner_of(path: str) -> str:
    try:
        return readable(pwd.getpwuid(os.lstat(native(path)).st_uid).pw_name)
    except (OSError, KeyError):
        return "root"


def _environment(account: Account) -> dict[str, str]:
    """Return a new environment; for the caller's own account, with what a pinentry needs."""
    made = {"HOME": account.home, "USER": account.name, "LOGNAME": account.name, "PATH": PATH}
    made["LC_ALL"] = "C.UTF-8"
    if account.uid != os.getuid():
        return made
    made |= {name: os.environ[name] for name in KEPT if name in os.environ}
    if os.isatty(0):
        made["GPG_TTY"] = os.ttyname(0)
    return made
