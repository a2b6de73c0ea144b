"""method=recovery: its place among the other lines, and each user's file as a login reads it."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import FILE_SECONDS, hint_for, run_as
from trex.cli.doctor.dispatch import is_asked, played
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.room import why_no_room
from trex.cli.installed import document
from trex.errors import OWNER, FileUnsafe, NoRecord, TrexError
from trex.login.method import expand_path, find_record, find_servant, is_absent
from trex.recovery.codes import codes_for
from trex.recovery.notice import make_command, moment, recent
from trex.system.privilege import find_account, readable
from trex.system.secretfile import read_secret

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule, Stack
    from trex.login.options import Options
    from trex.system.privilege import Account

FEW = 2  # codes left, of ten
WHY = "Whoever loses the key cannot log in with a code."


def check_place(
    stack: Stack, rule: Rule, options: Options, lines: list[tuple[Rule | None, Options]]
) -> list[Finding]:
    """Return whether codes are asked for where the key is right, and are used without a word."""
    findings = []
    where = f"sudoedit {rule.path}, line {rule.line}"
    results = next(iter(played(stack.rules, {})))  # all succeed that can
    if is_asked(stack.rules, results, rule):
        what = f"{rule.where}: a recovery code is asked for at each login"
        why = "Each login spends one of ten codes."
        page = document("docs/recovery.md")
        fix = f"{where}: before it, auth sufficient pam_trex.so nullok ({page})"
        findings.append(Finding("recovery-always", WARNING, what, why, fix))
    for other, others in lines:
        if other and others.method in ("openpgp", "totp"):
            findings += _check_same_place(other, others, rule, options)
    return findings


def _check_same_place(other: Rule, others: Options, rule: Rule, options: Options) -> list[Finding]:
    """Return whether another line of Trex's tells its users of codes that were used."""
    if (others.recovery_file, others.run_as) == (options.recovery_file, options.run_as):
        return []
    what = f"{other.where}: it does not look for codes where {rule.where} does"
    why = "Who logs in by that line is not told of recovery codes that were used."
    fix = f"sudoedit {other.path}, line {other.line}: recovery_file={options.recovery_file}"
    if others.run_as != options.run_as:
        lines = f"lines {other.line} and {rule.line}"
        fix = f"sudoedit {other.path}, {lines}: the same recovery_file= and run_as= in both"
    return [Finding("recovery-untold", WARNING, what, why, fix)]


def has_codes(account: Account, options: Options) -> bool:
    """Return whether the account has a file. Raises OptionError where no path can be made."""
    return not is_absent(expand_path(options.recovery_file, account), _reader(account, options))


def check_codes(name: str, options: Options) -> list[Finding]:
    """Return what refuses this user's codes, or soon will. No finding holds a code or a hash.

    Raises UserUnknown, OptionError, and CommandError where the file's account cannot be acted for.
    """
    account = find_account(name)
    reader = _reader(account, options)
    told = run_as(reader, lambda: _examine(account, reader, options), FILE_SECONDS)
    make = make_command(options, name if os.geteuid() == 0 else "")
    if told["fault"]:
        return [_fault(name, told["fault"], make)]
    path = readable(expand_path(options.recovery_file, account))
    findings = [*_check_left(name, path, told["left"], make), *_check_used(name, told, make)]
    if told["room"]:
        what = f"{name}: {path} could not be rewritten: {told['room']}"
        why = "A used code is recorded before the login succeeds, or the login is refused."
        fix = f"ls -ld {shlex.quote(os.path.dirname(path))}; mount  # make room there"
        findings.append(Finding("recovery-room", ERROR, what, why, fix, name))
    return findings


def _reader(account: Account, options: Options) -> Account:
    return find_servant("run_as", options.run_as) if options.run_as else account


def _examine(account: Account, reader: Account, options: Options) -> dict[str, Any]:
    """Do what a login does up to its prompt, and check what its verdict needs."""
    try:
        path = find_record(options.recovery_file, account, reader)
        content = read_secret(path, reader)
        codes = codes_for(account, content, readable(path))
    except TrexError as error:
        return {
            "fault": {
                "check": f"recovery-{type(error).__name__}",
                "absent": isinstance(error, NoRecord),
                "text": str(error),
                "fix": _fix(error),
            }
        }
    return {
        "fault": None, "left": len(codes.left), "used": recent(codes),
        "room": why_no_room(path, len(content)),
    }  # fmt: skip


def _fix(error: TrexError) -> str:
    """Return the command for an unsafe file or directory, "" where new codes are the remedy."""
    if not isinstance(error, FileUnsafe):
        return ""
    hint = hint_for(error)
    if error.kind == OWNER and os.path.isfile(error.path):  # its mode may be wrong as well
        hint += f"; chmod 600 {shlex.quote(error.path)}"
    return hint


def _fault(name: str, fault: dict[str, Any], make: str) -> Finding:
    severity = WARNING if fault["absent"] else ERROR  # who has the key can log in without codes
    fix = fault["fix"] or (make if fault["absent"] else f"{make} --yes")
    return Finding(fault["check"], severity, f"{name}: {fault['text']}", WHY, fix, name)


def _check_left(name: str, path: str, left: int, make: str) -> list[Finding]:
    if left > FEW:
        return []
    what = f"{name}: {path}: {left or 'no'} recovery code{'s' * (left != 1)} left"
    why = WHY if not left else "When they are spent, a lost key ends at the administrator's door."
    return [Finding("recovery-left", WARNING, what, why, f"{make} --yes", name)]


def _check_used(name: str, told: dict[str, Any], make: str) -> list[Finding]:
    """Return a note about codes that were used lately, as long as some are left."""
    times = told["used"]
    if not times or told["left"] <= FEW:
        return []
    used = f"{len(times)} recovery code{'s' * (len(times) != 1)} used"
    what = f"{name}: {used}, the last on {moment(max(times))}"
    why = "If that was not the user, somebody has the codes."
    fix = f"# ask {name}; if it was not them: {make}"
    return [Finding("recovery-used", NOTE, what, why, fix, name)]
