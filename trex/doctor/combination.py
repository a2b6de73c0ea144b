"""Trex's lines beside the other modules: who comes as far as a PIN, and whose password it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.doctor.dispatch import is_asked
from trex.doctor.finding import ERROR, WARNING, Finding
from trex.doctor.service import GUARD

if TYPE_CHECKING:
    from trex.doctor.stack import Rule, Stack
    from trex.options import Options

# Modules that say yes to whoever comes, and none that asks for a password.
HARMLESS = ("pam_permit.so", GUARD)
SILENT = (
    *HARMLESS, "pam_deny.so", "pam_env.so", "pam_nologin.so", "pam_rootok.so", "pam_faildelay.so"
)  # fmt: skip
TAKES = ("use_first_pass", "try_first_pass")


def check_combination(stack: Stack, rule: Rule, options: Options) -> list[Finding]:
    """Return what is wrong with where a line of Trex's stands, for its method."""
    mend = f"sudoedit {rule.path}, line {rule.line}"
    if options.method == "totp":
        return _check_passwords(stack, rule, options, mend)
    return []


def check_strangers(stack: Stack, rule: Rule) -> list[Finding]:
    """Return whether a PIN is sent for somebody who can do nothing else; `rule` is method=sms."""
    results = ["success" if other.name in HARMLESS else "auth_err" for other in stack.rules]
    if not is_asked(stack.rules, results, rule):
        return []
    what = f"{rule.place}: a PIN is sent before anything else was right"
    why = "Whoever knows a name can make that telephone ring, and use up its limit."
    mend = "before it: auth requisite pam_unix.so; with sshd the SSH key first (docs/sms.md)"
    return [Finding("pam-sms-first", WARNING, what, why, mend)]


def _check_passwords(stack: Stack, rule: Rule, options: Options, mend: str) -> list[Finding]:
    place = stack.rules.index(rule)
    if options.use_first_pass and not any(_asks(other) for other in stack.rules[:place]):
        what = f"{rule.place}: use_first_pass, and nobody asks for a password before"
        why = "There is nothing to take a code from: every login through this line is refused."
        return [Finding("pam-password", ERROR, what, why, mend)]
    takers = [other for other in stack.rules[place + 1 :] if set(other.arguments) & set(TAKES)]
    if options.forward_pass and not takers:
        what = f"{rule.place}: forward_pass, and no later module has use_first_pass"
        why = "What is typed before the code counts for nothing."
        mend = "after it: auth required pam_unix.so use_first_pass"
        return [Finding("pam-password", WARNING, what, why, mend)]
    return []


def _asks(rule: Rule) -> bool:
    return bool(rule.actions) and rule.name not in SILENT
