"""A line with `grace_period=`: what else is asked while nobody is asked there, and the files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trex.cli.doctor.combination import PASSWORD, asks
from trex.cli.doctor.dispatch import is_asked, lets_in, played
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.doctor.remedy import put_before, with_control
from trex.errors import FileUnsafe
from trex.login.gracefile import PLACE, ROOT
from trex.system.safefile import check_directories

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule, Stack
    from trex.login.options import Options

    Lines = list[tuple[Rule, Options]]


def check_grace(stack: Stack, lines: Lines, *, strangers: bool) -> list[Finding]:
    """Return what is wrong with lines that have a grace period; `lines` are all of Trex's.

    `strangers` says that the service asks people who have proved nothing yet.
    """
    unasked = [rule for rule, options in lines if options.grace_period]
    if not unasked:
        return []
    others = [other for other in stack.rules if asks(other) and other not in [r for r, _ in lines]]
    skipping = [finding for rule in unasked for finding in _check_skipped(stack, rule, others)]
    alone = _check_alone(stack, unasked) if strangers and not skipping else []
    return [*skipping, *alone, *_check_place()]


def _check_skipped(stack: Stack, rule: Rule, others: list[Rule]) -> list[Finding]:
    """Return whether the line's success keeps one of `others` behind it from asking."""
    index = stack.rules.index(rule)
    runs = list(played(stack.rules, {index: "success"}))
    skipped = [
        other.name
        for other in stack.rules[index + 1 :]
        if other in others and not any(is_asked(stack.rules, run, other) for run in runs)
    ]
    if not skipped:
        return []
    what = f"{rule.where}: grace_period, and after its success {skipped[0]} does not ask"
    why = "In the period nobody is asked here, and whoever comes gets past that module as well."
    return [Finding("pam-grace", WARNING, what, why, with_control(rule, "required"))]


def _check_alone(stack: Stack, unasked: list[Rule]) -> list[Finding]:
    """Return whether these lines alone let in, while all other modules that ask refuse."""
    results = {
        i: "success" if rule in unasked else "auth_err"
        for i, rule in enumerate(stack.rules)
        if rule in unasked or asks(rule)
    }
    if not any(lets_in(stack.rules, run) for run in played(stack.rules, results)):
        return []
    what = f"{unasked[0].where}: grace_period, and in that time nothing else is asked"
    why = "Whoever comes from the user's address, as from behind one router, gets in by the name."
    fix = f"{put_before(unasked[0], PASSWORD)}  # or, with sshd, ask for the SSH key first"
    return [Finding("pam-grace", ERROR, what, why, fix)]


def _check_place() -> list[Finding]:
    """Return whether others than root could write what logins believe."""
    try:
        if os.geteuid() == 0 and os.path.lexists(PLACE):
            check_directories(PLACE, ROOT)
    except FileUnsafe as error:
        why = "Every login is asked: no grace period counts."
        return [Finding("grace-place", WARNING, str(error), why, f"rm -r {PLACE}")]
    return []
