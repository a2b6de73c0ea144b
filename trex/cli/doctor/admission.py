"""Modules beside Trex that refuse a user: expired accounts, nologin, access rules, locks.

Both phases count: a right response is of no use to somebody whom the account phase refuses. Each
module that only looks is asked (`trex.cli.doctor.asking`); the rest may succeed; libpam's rules say
what comes of it.
"""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING, NamedTuple

from trex.cli.doctor.asking import BY_ADDRESS, LOOKING, WILLING, ask_modules, question
from trex.cli.doctor.dispatch import FIXED, lets_in
from trex.cli.doctor.finding import ERROR, NOTE, Finding
from trex.cli.doctor.module import check_others
from trex.cli.doctor.readmission import Refused, remedy
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.stack import Stack, read_stack
from trex.cli.errors import CommandError
from trex.system.privilege import native

if TYPE_CHECKING:
    from trex.cli.doctor.asking import Question
    from trex.cli.doctor.stack import Rule

MAX_ADDRESSES = 8
# What pam_unix(8) and pam_faillock(8) mean by their refusals: a check's name, and a word on it.
EXPIRED = ("account-expired", "the account has expired")
PASSWORD = ("account-password", "the password has expired, and has to be changed first")
LOCKED = ("account-locked", "too many failures have locked the account")
NO_LOGIN = ("account-nologin", "nobody but root may log in now")
MEANT = {
    ("pam_unix.so", "acct_expired"): EXPIRED,
    ("pam_unix.so", "new_authtok_reqd"): PASSWORD,
    ("pam_unix.so", "authtok_expired"): PASSWORD,
    ("pam_faillock.so", "auth_err"): LOCKED,
    ("pam_nologin.so", "auth_err"): NO_LOGIN,
}
WHY = "Then a right response does not let the user in."


class Refusal(NamedTuple):
    """A module that refuses a user, and its result."""

    rule: Rule
    result: str


def account_stack(service: str) -> Stack:
    """Return the account rules of a service: those of `other` where it has none (pam.conf(5))."""
    stack = read_stack(service, "account")
    return stack if stack.rules or stack.problems else read_stack("other", "account")


def check_account_stack(service: str, stack: Stack) -> list[Finding]:
    """Return what keeps everybody out in the account phase, and which modules were not asked."""
    why = "libpam refuses what it cannot read, or ignores it."
    path = f"/etc/pam.d/{service}"
    fix = by_hand(f"correct that line of {path}, or of what it includes")
    findings = [Finding("pam-syntax", ERROR, problem, why, fix) for problem in stack.problems]
    findings += check_others(stack.rules)
    best = [FIXED.get(rule.name, "success") for rule in stack.rules]
    if not lets_in(stack.rules, best) and not findings:
        what = f"{path}: its account phase lets nobody in"
        fix = by_hand(f"take out of {path} what refuses everybody")
        findings.append(Finding("account-closed", ERROR, what, WHY, fix))
    known = {*LOOKING["account"], *FIXED, *WILLING}
    for rule in stack.rules:
        if rule.actions and rule.name not in known and _can_refuse(rule):
            what = f"{rule.where}: {rule.name} was not asked whom it refuses"
            told = "Asking it could change something."
            findings.append(
                Finding("account-unasked", NOTE, what, told, f"trex try --service {service} NAME")
            )
    return findings


def _can_refuse(rule: Rule) -> bool:
    """Return whether a refusal of this module can be one of the stack's."""
    return any(action not in ("ignore", "ok", "done") for result, action in rule.actions.items()
               if result not in ("success", "ignore", "new_authtok_reqd"))  # fmt: skip


def check_admission(
    service: str, stacks: list[Stack], users: list[str], addresses: list[str]
) -> list[Finding]:
    """Return which module of the `stacks`, auth and account, refuses a user, and from where.

    `addresses` are where users may come from; [] where nobody comes over the network.
    """
    known = [user for user in users if _is_known(user)]
    findings = []
    for stack in stacks:
        # Of this phase, an answer may depend on the address if a module looks at it.
        several = any(rule.name in BY_ADDRESS for rule in stack.rules)
        origins = addresses[: MAX_ADDRESSES if several else 1] or [""]
        try:
            told = _ask_for_all(service, stack, known, origins)
        except CommandError as error:
            fix = f"trex try --service {service} NAME"
            findings.append(Finding("pam-silent", ERROR, f"{service}: {error}", WHY, fix))
            continue
        for user in known:
            refused = {origin: _refusals(stack, told, user, origin) for origin in origins}
            findings += _told(service, stack, user, refused)
    return findings


def _is_known(user: str) -> bool:
    try:
        pwd.getpwnam(native(user))
    except (KeyError, ValueError):  # another check reports it
        return False
    return True


def _ask_for_all(
    service: str, stack: Stack, users: list[str], origins: list[str]
) -> dict[Question, str]:
    questions = [
        asked
        for user in users
        for origin in origins
        for rule in stack.rules
        if (asked := question(stack.kind, rule, user, origin))
    ]
    unique = list(dict.fromkeys(questions))
    return dict(zip(unique, ask_modules(service, unique), strict=True)) if unique else {}


def _refusals(
    stack: Stack, told: dict[Question, str], user: str, origin: str
) -> list[Refusal]:  # fmt: skip
    """Return the modules without whose refusals the stack would let the user in."""
    results = []
    for rule in stack.rules:
        asked = question(stack.kind, rule, user, origin)
        results.append(told[asked] if asked else FIXED.get(rule.name, "success"))
    if lets_in(stack.rules, results):
        return []
    refusing = [
        index
        for index, (rule, result) in enumerate(zip(stack.rules, results, strict=True))
        if result not in ("success", "ignore") and rule.name not in FIXED
    ]
    alone = [index for index in refusing if lets_in(stack.rules, _without(results, [index]))]
    if not alone and not lets_in(stack.rules, _without(results, refusing)):
        return []  # the stack lets nobody in: another check says so
    return [Refusal(stack.rules[index], results[index]) for index in alone or refusing]


def _without(results: list[str], indices: list[int]) -> list[str]:
    return ["success" if index in indices else result for index, result in enumerate(results)]


def _told(
    service: str, stack: Stack, user: str, refused: dict[str, list[Refusal]]
) -> list[Finding]:
    """Return findings for one user: an error where every origin is refused, else a note."""
    findings = []
    everywhere = all(refused.values())
    unique = {(one.rule.where, one.result): one for some in refused.values() for one in some}
    for refusal in unique.values():
        origins = [origin for origin, some in refused.items() if refusal in some]
        rule, result = refusal
        check, meant = MEANT.get((rule.name, result), ("account-refused", f"it says {result}"))
        where = "" if everywhere else f" from {', '.join(origins)}"
        what = f"{user}: refused{where} by {rule.name} at {rule.where}: {meant}"
        why = WHY if everywhere else "From other addresses the user gets in."
        origin = "ALL" if everywhere else origins[0]
        fix = remedy(Refused(service, stack.kind, rule, result, user, origin))
        severity = ERROR if everywhere else NOTE
        findings.append(Finding(check, severity, what, why, fix, user))
    return findings
