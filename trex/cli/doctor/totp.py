"""method=totp: a user's file, read as a login reads it, and whether a login could rewrite it."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import FILE_SECONDS, hint_for, run_as
from trex.cli.doctor.clock import until
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.errors import FileUnsafe, NoRecord, RecordError, TrexError
from trex.login.method import find_record, find_servant, is_absent, place
from trex.system.packages import from_debian
from trex.system.privilege import find_account, readable
from trex.system.rewriting import name_beside
from trex.totp.file import read_secret
from trex.totp.rules import blocked_until
from trex.totp.state import OtpState

if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.system.privilege import Account

FEW = 2  # of the five that there are at first
WHY = "Every login of this user is refused."
NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)  # open(2), O_TMPFILE
MENDS = {
    "NoRecord": "as {user}: trex totp enroll",
    "PackageMissing": "apt install python3-pyotp",
}


def has_secret(account: Account, options: Options) -> bool:
    """Tell whether there is a file for this account; raises OptionError where none can be named."""
    return not is_absent(place(options.secret, account), _reader(account, options))


def check_secret(name: str, options: Options) -> list[Finding]:
    """Return what would refuse this user, or soon will; nothing of the secret is in it.

    Raises UserUnknown, OptionError, and CommandError where the file's account cannot be acted for.
    """
    account = find_account(name)
    reader = _reader(account, options)
    told = run_as(reader, lambda: _examine(account, reader, options), FILE_SECONDS)
    if told["fault"]:
        return [_fault(name, told["fault"], options)]
    path = readable(place(options.secret, account))
    return [
        *_check_codes(name, path, told),
        *_check_rate(name, path, told),
        *_check_room(name, path, told),
    ]


def _reader(account: Account, options: Options) -> Account:
    return find_servant("run_as", options.run_as) if options.run_as else account


def _examine(account: Account, reader: Account, options: Options) -> dict[str, Any]:
    """Go the way of a login up to its prompt, and see what its verdict would need."""
    told: dict[str, Any] = {"fault": None}
    try:
        path = find_record(options.secret, account, reader)
        from_debian("pyotp", "python3-pyotp")
        content = read_secret(path, reader)
        state, now = OtpState(content, readable(path)), int(time.time())
        told["counts"] = bool(state.counter)
        told["time"] = state.is_time_based
        told["emergency"] = len(state.emergency_codes)
        told["limited"] = bool(state.rate_limit)
        told["blocked"] = blocked_until(state, now) - now
        _read_rest(state)
        told["room"] = _why_no_room(path, len(content))
    except TrexError as error:
        mend = hint_for(error) if isinstance(error, FileUnsafe) else ""
        if isinstance(error, RecordError):
            mend = f"correct line {error.line} of {error.path}"
        if isinstance(error, FileUnsafe) and error.found.startswith("mode"):
            mend = f"chmod 600 {error.path}; if others could read it, a new secret"
            mend = mend if error.path == readable(path) else hint_for(error)
        told["fault"] = [type(error).__name__, str(error), mend]
    return told


def _read_rest(state: OtpState) -> None:
    """Read what a judgement reads; raises RecordError as that would."""
    from pyotp import HOTP

    HOTP(state.secret).at(0)
    for _ in (state.step, state.window, state.skew, state.used_steps, state.resetting):
        pass


def _why_no_room(path: str, size: int) -> str:
    """Return why a file could not be made beside `path`, "" if it could.

    It is tried with one that has no name (open(2), O_TMPFILE): nobody sees it, and it is gone at
    once. Where the file system has none, its numbers are asked.
    """
    directory = os.path.dirname(path)
    try:
        beside = os.path.join(directory, name_beside(path))
        if os.path.lexists(beside) and (os.path.islink(beside) or not os.path.isdir(beside)):
            return f"{readable(beside)} is no directory"
        descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(size))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return _ask_numbers(directory) if error.errno in NO_TMPFILE else str(error.strerror)
    return ""


def _ask_numbers(directory: str) -> str:
    numbers = os.statvfs(directory)
    if numbers.f_flag & os.ST_RDONLY:
        return os.strerror(errno.EROFS)
    if not os.access(directory, os.W_OK | os.X_OK):
        return os.strerror(errno.EACCES)
    full = numbers.f_bavail == 0 or (numbers.f_files and numbers.f_favail == 0)
    return os.strerror(errno.ENOSPC) if full else ""


def _fault(name: str, fault: list[str], options: Options) -> Finding:
    kind, text, mend = fault
    mend = mend or MENDS.get(kind, "docs/totp.md").format(user=name)
    if kind == NoRecord.__name__ and options.nullok:
        why = "Because of nullok this user is not asked for a code."
        return Finding("totp-NoRecord", WARNING, f"{name}: {text}", why, mend)
    return Finding(f"totp-{kind}", ERROR, f"{name}: {text}", WHY, mend)


def _check_codes(name: str, path: str, told: dict[str, Any]) -> list[Finding]:
    left = told["emergency"]
    if not told["counts"] and not told["time"]:
        what = f'{name}: {path}: found neither " TOTP_AUTH nor " HOTP_COUNTER; meant is one of them'
        why = "Only emergency codes are right." if left else WHY
        return [Finding("totp-kind", WARNING if left else ERROR, what, why, f"edit {path}")]
    if left > FEW:
        return []
    what = f"{name}: {path}: {left or 'no'} emergency code{'' if left == 1 else 's'} left"
    why = "Who loses the phone cannot log in without them."
    return [Finding("totp-emergency", WARNING, what, why, f"as {name}: trex totp codes")]


def _check_rate(name: str, path: str, told: dict[str, Any]) -> list[Finding]:
    if not told["limited"]:
        what = f"{name}: {path}: no RATE_LIMIT"
        why = "Whoever comes as far as this question may guess without end."
        return [Finding("totp-rate", WARNING, what, why, f'add to {path}: " RATE_LIMIT 3 30')]
    if told["blocked"] <= 0:
        return []
    what = f"{name}: {path}: the RATE_LIMIT is reached, until {until(told['blocked'])}"
    why = "Until then every attempt is refused, a right code too, and counts as another."
    return [Finding("totp-limit", ERROR, what, why, "wait; if it was not the user, who was it?")]


def _check_room(name: str, path: str, told: dict[str, Any]) -> list[Finding]:
    if not told["room"]:
        return []
    what = f"{name}: {path} could not be rewritten: {told['room']}"
    why = "A used code is noted before the login succeeds, or it is refused."
    mend = f"make room; ls -ld {os.path.dirname(path)}; mount"
    return [Finding("totp-room", ERROR, what, why, mend)]
