"""Accounts for two people that another line of Trex's opens to one."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.delegate import as_user
from trex.cli.doctor import recovery, sms, totp
from trex.cli.doctor.dispatch import lets_in, played
from trex.cli.doctor.enrolment import OF_TWO, enrolling, needed_by
from trex.cli.doctor.finding import WARNING, Finding
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.survey import survey_homes
from trex.cli.location import location_of
from trex.errors import FileUnsafe, TrexError
from trex.login.method import expand_path
from trex.recovery.notice import make_command
from trex.sms.errors import SettingsError
from trex.system.privilege import acting_as, find_account, readable
from trex.system.safefile import read_safely

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.cli.doctor.line import Users
    from trex.cli.doctor.stack import Rule, Stack
    from trex.login.options import Options

    Lines = list[tuple[Rule, Options]]

WITH = {"totp": "a code from a phone", "sms": "a PIN by SMS", "recovery": "a recovery code",
        "openpgp": "one key"}  # fmt: skip
WHY = "One of the two, or whoever gets hold of that, needs nobody else."


def check_alone(stack: Stack, lines: Lines, who: list[Users]) -> list[Finding]:
    """Return who has such an account, as far as root can tell.

    `lines` are Trex's, and `who` has the users of each.
    """
    findings: list[Finding] = []
    if os.geteuid() != 0 or not lines:
        return findings
    for (rule, options), users in zip(lines, who, strict=True):
        others = [one for one in lines if one[0] is not rule and _opens(stack, lines, one[0])]
        if options.method != "openpgp" or not others:
            continue
        two = survey_homes(users.names, _takes_two(options)).found
        for other, theirs in others:
            findings += [
                Finding("two-alone", WARNING,
                        f"{name}: the record takes two people, and {other.where} lets one in with "
                        f"{WITH[theirs.method]}", WHY, _closing(name, theirs), name)
                for name in survey_homes(two, _can_alone(theirs)).found
            ]  # fmt: skip
    return findings


def _opens(stack: Stack, lines: Lines, rule: Rule) -> bool:
    """Tell whether a line lets somebody in whom all other lines of Trex's refuse."""
    where = {id(one): "auth_err" for one, _ in lines} | {id(rule): "success"}
    results = {i: where[id(one)] for i, one in enumerate(stack.rules) if id(one) in where}
    return any(lets_in(stack.rules, run) for run in played(stack.rules, results))


def _needed(name: str, options: Options) -> int:
    """Return how many people the record of a line asks for. Raises TrexError."""
    location = location_of(name, options)
    with acting_as(location.reader):
        return needed_by(location, read_safely(location.record, location.reader))


def _takes_two(options: Options) -> Callable[[str], bool]:
    """Return what tells whether a user's record asks for two people."""
    return lambda name: _needed(name, options) > 1


def _can_alone(options: Options) -> Callable[[str], bool]:
    """Return what tells whether a line can let a user in who is alone."""
    if options.method == "sms":
        numbers: list[str] = []
        with suppress(SettingsError, FileUnsafe):
            numbers = sms.users(options)
        return numbers.__contains__
    if options.method == "openpgp":
        return lambda name: _needed(name, options) == 1
    has_any = totp.has_secret if options.method == "totp" else recovery.has_codes
    return lambda name: has_any(find_account(name), options)


def _closing(name: str, options: Options) -> str:
    """Return the command after which nobody gets in alone by a line."""
    if options.method == "openpgp":
        return OF_TWO.format(enroll=enrolling(options, name))
    if options.method == "recovery":
        return f"{make_command(options, name, 'remove')} --yes"
    if options.method == "sms":
        return by_hand(f"take the number of {name} away")
    try:
        path = readable(expand_path(options.secret, find_account(name)))
    except TrexError as error:
        return by_hand(str(error))
    return as_user(options.run_as or name, f"rm {shlex.quote(path)}")
