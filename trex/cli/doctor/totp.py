"""method=totp: a user's file, read as a login reads it, and whether a login can rewrite it."""

from __future__ import annotations

import os
import shlex
import time
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import FILE_SECONDS, as_user, hint_for, run_as
from trex.cli.doctor.clock import until
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.doctor.remedy import by_hand, is_of_another
from trex.cli.doctor.room import why_no_room
from trex.cli.location import words_of_secret
from trex.errors import (
    OTHER,
    OWNER,
    READABLE,
    WRITABLE,
    FileUnsafe,
    NoRecord,
    OtherAccount,
    RecordError,
    TrexError,
)
from trex.login.method import expand_path, find_record, find_servant, is_absent
from trex.system.packages import PackageMissing, from_debian
from trex.system.privilege import find_account, readable
from trex.system.secretfile import read_secret
from trex.totp.method import check_uid
from trex.totp.rules import blocked_until
from trex.totp.state import OtpState

if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.system.privilege import Account

FEW = 2  # emergency codes left, of five
WHY = "Every login of this user by code is refused."
FIXES: dict[type[TrexError], str] = {
    NoRecord: "{make}",
    OtherAccount: "rm {path}",
    PackageMissing: "apt install python3-pyotp",
}


def has_secret(account: Account, options: Options) -> bool:
    """Return whether the account has a file. Raises OptionError where no path can be made."""
    return not is_absent(expand_path(options.secret, account), _reader(account, options))


def check_secret(name: str, options: Options) -> list[Finding]:
    """Return what refuses this user, or soon will. No finding holds any of the secret.

    Raises UserUnknown, OptionError, and CommandError where the file's account cannot be acted for.
    """
    account = find_account(name)
    reader = _reader(account, options)
    told = run_as(reader, lambda: _examine(account, reader, options), FILE_SECONDS)
    if told["fault"]:
        return [_fault(name, told["fault"], options)]
    path = readable(expand_path(options.secret, account))
    return [
        *_check_codes(name, path, told, options),
        *_check_rate(name, path, told),
        *_check_room(name, path, told),
    ]


def making_secret(options: Options, user: str) -> str:
    """Return the command that makes a secret where the PAM line looks for it."""
    if options.run_as:
        return f"trex totp enroll{words_of_secret(options)} --user {shlex.quote(user)}"
    return as_user(user, "trex totp enroll")


def _reader(account: Account, options: Options) -> Account:
    return find_servant("run_as", options.run_as) if options.run_as else account


def _examine(account: Account, reader: Account, options: Options) -> dict[str, Any]:
    """Do what a login does up to its prompt, and check what its verdict needs."""
    told: dict[str, Any] = {"fault": None, "owner": reader.name}
    path = ""
    try:
        path = find_record(options.secret, account, reader)
        from_debian("pyotp", "python3-pyotp")
        content = read_secret(path, reader)
        state, now = OtpState(content, readable(path)), int(time.time())
        check_uid(state, path, account)
        told["counts"] = bool(state.counter)
        told["time"] = state.is_time_based
        told["emergency"] = len(state.emergency_codes)
        told["limited"] = bool(state.rate_limit)
        told["blocked"] = blocked_until(state, now) - now
        _read_rest(state)
        told["room"] = why_no_room(path, len(content))
    except TrexError as error:
        told["fault"] = {
            "check": f"totp-{type(error).__name__}",
            "absent": isinstance(error, NoRecord),
            "text": str(error),
            "fix": _fix(error, account, reader, options, readable(path)),
        }
    return told


def _fix(error: TrexError, account: Account, reader: Account, options: Options, path: str) -> str:
    if isinstance(error, RecordError):
        return by_hand(f"correct line {error.line} of {error.path}, or make a new secret")
    if not isinstance(error, FileUnsafe):
        fix = FIXES.get(type(error), by_hand("as the message says"))
        return fix.format(make=making_secret(options, account.name), path=shlex.quote(path))
    if error.path == path and error.kind == OTHER and is_of_another(path, reader.uid):
        return f"chown -h {shlex.quote(reader.name)}: {shlex.quote(path)}"
    hint = hint_for(error)
    if error.kind not in (OWNER, READABLE, WRITABLE):
        return by_hand(hint)
    if error.path != path or error.kind == WRITABLE:
        return hint
    if error.kind == OWNER:  # its mode may be wrong as well
        hint += f"; {as_user(reader.name, f'chmod 600 {shlex.quote(path)}')}"
    return f"{hint}  # if others could read it, make a new secret"


def _read_rest(state: OtpState) -> None:
    """Read all that a verdict reads. Raises RecordError as that would."""
    from pyotp import HOTP

    HOTP(state.secret).at(0)
    for _ in (state.step, state.window, state.skew, state.used_steps, state.resetting):
        pass


def _fault(name: str, fault: dict[str, Any], options: Options) -> Finding:
    severity, why = ERROR, WHY
    if fault["absent"] and options.nullok:
        severity, why = WARNING, "Because of nullok this user is not asked for a code."
    what = f"{name}: {fault['text']}"
    return Finding(fault["check"], severity, what, why, fault["fix"], name)


def _check_codes(name: str, path: str, told: dict[str, Any], options: Options) -> list[Finding]:
    left = told["emergency"]
    if not told["counts"] and not told["time"]:
        what = f'{name}: {path}: expected " TOTP_AUTH or " HOTP_COUNTER, found neither'
        why = "Only emergency codes are right." if left else WHY
        fix = _with_option(told["owner"], path, "TOTP_AUTH")
        return [Finding("totp-kind", WARNING if left else ERROR, what, why, fix, name)]
    if left > FEW:
        return []
    what = f"{name}: {path}: {left or 'no'} emergency code{'' if left == 1 else 's'} left"
    why = "Without them, a user who loses the phone cannot log in."
    fix = as_user(told["owner"], f"trex totp codes --file {shlex.quote(path)}")
    if options.run_as:
        fix = f"trex totp codes{words_of_secret(options)} --user {shlex.quote(name)}"
    return [Finding("totp-emergency", WARNING, what, why, fix, name)]


def _with_option(owner: str, path: str, option: str) -> str:
    """Return the command that adds an option behind the secret."""
    script = shlex.quote(f'1a " {option}')
    return as_user(owner, f"sed -i {script} {shlex.quote(path)}")


def _check_rate(name: str, path: str, told: dict[str, Any]) -> list[Finding]:
    if not told["limited"]:
        what = f"{name}: {path}: no RATE_LIMIT"
        why = "Whoever gets this question may guess without a limit."
        fix = _with_option(told["owner"], path, "RATE_LIMIT 3 30")
        return [Finding("totp-rate", WARNING, what, why, fix, name)]
    if told["blocked"] <= 0:
        return []
    what = f"{name}: {path}: the RATE_LIMIT is reached, until {until(told['blocked'])}"
    why = "Until then every attempt is refused, even a right code, and counts as another attempt."
    fix = by_hand("wait; if it was not the user, find out who it was")
    return [Finding("totp-limit", ERROR, what, why, fix, name)]


def _check_room(name: str, path: str, told: dict[str, Any]) -> list[Finding]:
    if not told["room"]:
        return []
    what = f"{name}: {path} could not be rewritten: {told['room']}"
    why = "A used code is recorded before the login succeeds, or the login is refused."
    where = f"make room; ls -ld {shlex.quote(os.path.dirname(path))}; mount"
    fix = by_hand(f"{where}; a home that stays read-only needs trex totp enroll --central")
    return [Finding("totp-room", ERROR, what, why, fix, name)]
