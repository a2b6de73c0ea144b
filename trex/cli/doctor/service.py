"""Trex's position in a PAM service, its arguments, and whether it can be bypassed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.doctor.around import check_ways_around
from trex.cli.doctor.callers import is_called_by_users
from trex.cli.doctor.closing import opening
from trex.cli.doctor.dispatch import MAX_PLAYED, is_all_played, lets_in, played
from trex.cli.doctor.doors import (
    ENTRY,
    NATIVE,
    PAM_PYTHON,
    asked_by,
    is_one_of_two,
    trex_rules,
)
from trex.cli.doctor.exempting import check_exempting
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.doctor.module import files_of, root_alone
from trex.cli.doctor.programs import CENTRAL, OWN_RECORD
from trex.cli.doctor.remedy import (
    by_hand,
    instead_of_common,
    take_out,
    with_control,
    without_argument,
)
from trex.cli.location import ROOT
from trex.errors import FileUnsafe, OptionError
from trex.login.method import find_servant
from trex.login.options import Options, parse_options
from trex.system.safefile import check_writers

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule, Stack


def options_of(rule: Rule) -> Options:
    """Return Trex's arguments in one of its lines. Raises OptionError."""
    asked = asked_by(rule)
    options = parse_options(asked.arguments if asked else [])
    for name in ("run_as", "web_user"):
        servant = getattr(options, name)
        if servant != getattr(Options, name):
            find_servant(name, servant)
    return options


def with_options(rules: list[Rule]) -> list[tuple[Rule, Options]]:
    """Return the rules with their options, without those whose arguments are wrong."""
    found = []
    for rule in rules:
        with suppress(OptionError):
            found.append((rule, options_of(rule)))
    return found


def check_pam_service(service: str, stack: Stack) -> list[Finding]:
    """Return what is wrong with the stack as a whole, and with Trex in it."""
    path = f"/etc/pam.d/{service}"
    findings = [
        Finding("pam-syntax", ERROR, problem,
                "libpam refuses what it cannot read, or ignores it.",
                by_hand(f"correct that line of {path}, or of what it includes"))
        for problem in stack.problems
    ]  # fmt: skip
    findings += _check_writers(stack)
    rules = trex_rules(stack)
    if not rules:
        what = f"{path}: no auth line asks Trex"
        why = "Trex has no say in these logins."
        return [*findings, Finding("pam-absent", ERROR, what, why, _fix_absent(service, path))]
    for rule, following in zip(rules, [*rules[1:], None], strict=True):
        findings += _check_rule(rule, following)
    methods = [options.method for _, options in with_options(rules)]
    for method in sorted({method for method in methods if methods.count(method) > 1}):
        what = f"{path}: Trex is asked {methods.count(method)} times with method={method}"
        why = "A login may have to answer several challenges of the same kind."
        findings.append(Finding("pam-twice", WARNING, what, why, take_out(_second(rules, method))))
    if not any(finding.check == "pam-optional" for finding in findings):
        findings += _check_ways(service, stack, rules, path)
    return findings


def _fix_absent(service: str, path: str) -> str:
    """Return how to add Trex to the service: beside common-auth, both would be asked."""
    if not os.path.exists(path):
        return by_hand(f"there is no {path}: name another with --service; ls /etc/pam.d")
    by_python = files_of(PAM_PYTHON) and not is_called_by_users(service)
    door = f"{PAM_PYTHON} {ENTRY}" if by_python else NATIVE
    central = f" {CENTRAL}" if service in OWN_RECORD else ""
    line = f"auth  required  {door}{central}"
    return instead_of_common(path, line)


def _second(rules: list[Rule], method: str) -> Rule:
    return [rule for rule, options in with_options(rules) if options.method == method][1]


def _check_writers(stack: Stack) -> list[Finding]:
    """Return the stack's files that others than root can write."""
    findings = []
    why = "Whoever can write it decides who gets in."
    for path in dict.fromkeys(rule.path for rule in stack.rules):
        try:
            check_writers(path, ROOT)
        except FileUnsafe as error:
            fix = root_alone(error.path)
            findings.append(Finding("pam-writable", ERROR, str(error), why, fix))
        except OSError:  # removed since it was read
            continue
    return list(dict.fromkeys(findings))


def _check_rule(rule: Rule, following: Rule | None) -> list[Finding]:
    """Return what is wrong with one of Trex's lines; `following` is Trex's next line."""
    findings = []
    if rule.control.lower() == "optional":
        findings.append(
            Finding("pam-optional", ERROR, f"{rule.where}: Trex is optional",
                    "If any other module succeeds, a wrong response has no effect.",
                    with_control(rule, "required"))
        )  # fmt: skip
    decided = following is not None and following.control.lower() in ("required", "requisite")
    if rule.control.lower() == "sufficient" and not decided:
        findings.append(
            Finding("pam-sufficient", WARNING, f"{rule.where}: Trex is sufficient",
                    "A user who fails here is asked by the next module.",
                    with_control(rule, "required"))
        )  # fmt: skip
    either = following is not None and is_one_of_two([rule, following])
    try:
        if options_of(rule).nullok and not either:
            findings.append(
                Finding("pam-nullok", WARNING, f"{rule.where}: nullok",
                        "A user whose record is missing, deleted or not mounted, is not asked.",
                        f"{without_argument(rule, 'nullok')}  # when everybody is enrolled")
            )  # fmt: skip
    except OptionError as error:
        findings.append(
            Finding("pam-arguments", ERROR, f"{rule.where}: {error}",
                    "Every login through this service is refused.",
                    by_hand(f"correct the arguments in {rule.path}, line {rule.line}"))
        )  # fmt: skip
    return findings


def _check_ways(service: str, stack: Stack, rules: list[Rule], path: str) -> list[Finding]:
    """Play all combinations of the modules' results through the stack."""
    where = [i for i, rule in enumerate(stack.rules) if rule in rules]
    first = rules[0]
    right = dict.fromkeys(where, "success")
    if not any(lets_in(stack.rules, results) for results in played(stack.rules, right)):
        what = f"{first.where}: even a right response lets nobody in"
        why = "A jump is no success: a module after it must succeed."
        return [
            Finding(
                "pam-closed",
                ERROR,
                what,
                why,
                opening(stack, path),
            )
        ]
    if findings := check_ways_around(service, stack, rules):
        return [*check_exempting(service, stack.rules, as_root=os.geteuid() == 0), *findings]
    if is_all_played(stack.rules, right):
        return []
    what = f"{first.where}: there are more than {MAX_PLAYED} modules beside Trex"
    why = "Not all combinations of their results were tried: a way in may have been missed."
    fix = by_hand("fewer modules: a file of its own for this service, without includes")
    return [Finding("pam-long", WARNING, what, why, fix)]
