"""One line of Trex's in a PAM service: what its method needs, for each of its users."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shlex
from typing import TYPE_CHECKING

from trex.cli.doctor import recovery, sms, totp
from trex.cli.doctor.enrolment import enrolling
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.fleet import check_fleet
from trex.cli.doctor.orphans import check_orphans, names_with_files
from trex.cli.doctor.record import check_record
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.survey import survey_homes
from trex.cli.errors import CommandError
from trex.cli.location import location_of
from trex.errors import FileUnsafe, TrexError, UserUnknown
from trex.login.method import is_absent
from trex.openpgp.method import background_of
from trex.recovery.notice import make_command
from trex.sms.errors import SettingsError
from trex.system.privilege import find_account, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.cli.doctor.survey import Survey
    from trex.login.options import Options

    Check = Callable[[str], list[Finding]]

AS_ROOT = "sudo trex doctor"
SILENT = "the home's file system does not answer"
# By method: the first word of its checks, what its users have, and how they get it.
SET_UP = {
    "openpgp": ("record", "a record", "{enroll} --yes --key - < FILE"),
    "totp": ("totp", "a secret", "{secret}"),
    "sms": ("sms", "a telephone number", "echo 'NAME NUMBER' >> {phones}"),
    "recovery": ("recovery", "recovery codes", "{codes}"),
}

NOBODY = frozenset(f"{word}-nobody" for word, _, _ in SET_UP.values())
NOT_SET_UP = NOBODY | {f"{word}-NoRecord" for word, _, _ in SET_UP.values()}


@dataclasses.dataclass
class Users:
    """The users a line is checked for; findings about silent homes, and accounts that are gone."""

    names: list[str]
    untold: list[Finding] = dataclasses.field(default_factory=list)
    orphans: list[Finding] = dataclasses.field(default_factory=list)


def users_of(options: Options) -> Users:
    """Return all users who are set up for the method, nobody where that cannot be found out."""
    if options.method == "sms":
        try:
            return Users(sms.users(options))
        except (SettingsError, FileUnsafe):
            return Users([])
    is_set_up = {"openpgp": _has_record, "totp": _has_secret, "recovery": _has_codes}[
        options.method
    ]
    listed = [readable(entry.pw_name) for entry in pwd.getpwall()]
    names = [*listed, *_unlisted(options, set(listed))]
    survey = survey_homes(names, lambda name: is_set_up(name, options))
    return Users(survey.found, _untold(survey), check_orphans(options))


def _unlisted(options: Options, listed: set[str]) -> list[str]:
    """Return accounts with a file in central mode that the database knows, but does not list."""
    found = []
    for name in names_with_files(options):
        try:
            is_account = name not in listed and find_account(name).name == name
        except UserUnknown:
            continue
        if is_account:
            found.append(name)
    return found


def _untold(survey: Survey) -> list[Finding]:
    why = "Every login of this user hangs, and so does every command of root's on these files."
    fix = by_hand("does the server of that file system run? see mount, umount --force")
    findings = [
        Finding("user-silent", ERROR, f"{name}: {SILENT}", why, fix, name) for name in survey.silent
    ]
    if survey.left_out:
        what = f"{len(survey.left_out)} accounts were not checked: too many homes do not answer"
        findings.append(Finding("user-silent", ERROR, what, why, fix))
    return findings


def check_line(options: Options, users: Users, service: str, *, online: bool) -> list[Finding]:
    """Return what would refuse these users, one by one or all of them."""
    names = users.names
    if options.method == "sms":
        return _check_sms(options, names, online=online)
    findings = list(users.untold)
    if not names and not findings:
        findings.append(_nobody(options))
    findings += users.orphans
    if options.method == "openpgp":
        return [*findings, *_each(names, lambda name: _check_openpgp(name, options, service))]
    if options.method == "recovery":
        return [*findings, *_each(names, lambda name: _check_recovery(name, options))]
    findings += check_fleet(options, names) if options.fleet else []
    return [*findings, *_each(names, lambda name: _check_totp(name, options))]


def either(findings: list[list[Finding]]) -> list[list[Finding]]:
    """Make it a warning that a user is not set up for one line, where another lets that user in.

    `findings` has one list for each line; a right response to one line is enough.
    """
    lacking = [{f.subject for f in found if f.check in NOT_SET_UP} for found in findings]
    nowhere = set.intersection(*lacking)
    return [
        [_warning(f) if f.check in NOT_SET_UP and f.subject not in nowhere else f for f in found]
        for found in findings
    ]


def left_out(what: str, subject: str = "") -> Finding:
    """Return the note for something that only root can check."""
    return Finding("left-out", NOTE, f"{what}: not checked", "Only root can.", AS_ROOT, subject)


def _warning(finding: Finding) -> Finding:
    why = "Only the other line of Trex's can let this user in."
    return dataclasses.replace(finding, severity=WARNING, why=why)


def _nobody(options: Options) -> Finding:
    kind, what, fix = SET_UP[options.method]
    why = f"Nobody can log in with method={options.method}."
    if options.method != "sms":  # its map names the users
        why += " Users that the account database does not list (getpwent(3)) need --user."
    severity = WARNING if options.method == "recovery" else ERROR  # whoever has the key can log in
    enroll, codes = enrolling(options, "NAME"), make_command(options, "NAME")
    secret = totp.making_secret(options, "NAME")
    fix = fix.format(enroll=enroll, codes=codes, phones=options.phones, secret=secret)
    return Finding(f"{kind}-nobody", severity, f"no account has {what}", why, fix)


def _each(names: list[str], check_user: Check) -> list[Finding]:
    findings = []
    for name in names:
        try:
            findings += check_user(name)
        except (CommandError, TrexError) as error:
            why = "PAM refuses a user who is not in the account database, or whose files hang."
            fix = by_hand(f"is the name right? getent passwd {shlex.quote(name)}")
            if isinstance(error, CommandError) and error.hint:
                fix = by_hand(error.hint)
            findings.append(Finding("user", ERROR, f"{name}: {error}", why, fix, name))
    return findings


def _has_record(name: str, options: Options) -> bool:
    location = location_of(name, options)
    return not is_absent(location.record, location.reader)


def _has_secret(name: str, options: Options) -> bool:
    return totp.has_secret(find_account(name), options)


def _has_codes(name: str, options: Options) -> bool:
    return recovery.has_codes(find_account(name), options)


def _check_openpgp(name: str, options: Options, service: str) -> list[Finding]:
    if options.run_as and os.geteuid() != 0:
        return [left_out(f"{name}: the record of run_as={options.run_as}", name)]
    location = location_of(name, options)
    examined = check_record(location, service)
    record, message = examined.record, examined.message
    if not record:
        return examined.findings
    has_page, background = record.web_qr and options.web, background_of(record, options)
    if not has_page and not background:
        return examined.findings
    if os.geteuid() != 0:
        what = "the page with a QR code" if has_page else "the QR code in the prompt"
        return [*examined.findings, left_out(f"{name}: {what}", name)]
    from trex.cli.doctor.page import check_code, check_page

    findings = check_page(location, record, message, service) if has_page else []
    if background:
        findings += check_code(location, background, message, service)
    return [*examined.findings, *findings]


def _check_totp(name: str, options: Options) -> list[Finding]:
    if options.run_as and os.geteuid() not in (0, find_account(options.run_as).uid):
        return [left_out(f"{name}: the secret of run_as={options.run_as}", name)]
    return totp.check_secret(name, options)


def _check_recovery(name: str, options: Options) -> list[Finding]:
    if options.run_as and os.geteuid() not in (0, find_account(options.run_as).uid):
        return [left_out(f"{name}: the recovery codes of run_as={options.run_as}", name)]
    return recovery.check_codes(name, options)


def _check_sms(options: Options, names: list[str], *, online: bool) -> list[Finding]:
    if os.geteuid() != 0:
        return [left_out(f"method=sms: {options.sms_file}, numbers and limits")]
    findings, sender = sms.check_sender(options, online=online)
    findings += sms.check_numbers(options)
    if not names and not any(finding.check == "sms-phones" for finding in findings):
        findings.append(_nobody(options))
    told = {finding.subject for finding in findings if finding.check == "sms-phones"}
    known = [name for name in names if name not in told]
    return [*findings, *_each(known, lambda name: sms.check_user(name, options, sender))]
