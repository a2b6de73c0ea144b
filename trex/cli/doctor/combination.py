"""Trex's lines among the other modules: who is sent a PIN, and whose password is passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.doctor.dispatch import is_asked, lets_in, played
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.doctor.remedy import put_after, put_before, with_control, without_argument

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule, Stack
    from trex.login.options import Options

# Modules that ask nothing: their success proves nothing, and no password was typed.
SILENT = (
    "pam_access.so", "pam_cap.so", "pam_debug.so", "pam_deny.so", "pam_echo.so",
    "pam_env.so", "pam_faildelay.so", "pam_faillock.so", "pam_gnome_keyring.so", "pam_group.so",
    "pam_issue.so", "pam_keyinit.so", "pam_kwallet5.so", "pam_limits.so", "pam_listfile.so",
    "pam_localuser.so", "pam_loginuid.so", "pam_mail.so", "pam_motd.so", "pam_nologin.so",
    "pam_permit.so", "pam_rootok.so", "pam_securetty.so", "pam_sepermit.so", "pam_shells.so",
    "pam_succeed_if.so", "pam_tally.so", "pam_tally2.so", "pam_time.so", "pam_trex_path.so",
    "pam_umask.so", "pam_usertype.so", "pam_warn.so", "pam_wheel.so",
)  # fmt: skip
PASSWORD = "auth requisite pam_unix.so"  # noqa: S105 (a line, no password)
TAKES = ("use_first_pass", "try_first_pass")
# Modules that take an earlier module's password by default, unless this argument forbids it.
TAKES_UNASKED = {"pam_unix.so": "", "pam_sss.so": "prompt_always"}


def check_combination(stack: Stack, rule: Rule, options: Options) -> list[Finding]:
    """Return what is wrong with the position and control of a line of Trex's, for its arguments."""
    findings = _check_one_try(rule) if options.one_try else []
    if options.method == "totp":
        findings += _check_passwords(stack, rule, options)
    return findings


def check_strangers(stack: Stack, rule: Rule) -> list[Finding]:
    """Return whether a PIN is sent before anything is proved; `rule` has method=sms."""
    refused = {i: "auth_err" for i, other in enumerate(stack.rules) if asks(other)}
    runs = played(stack.rules, refused)  # the others may succeed
    if not any(is_asked(stack.rules, results, rule) for results in runs):
        return []
    what = f"{rule.where}: a PIN is sent before anything else is proved"
    why = "Whoever knows a user name can send messages to that telephone, and use up its limit."
    fix = f"{put_before(rule, PASSWORD)}  # or, with sshd, ask for the SSH key first"
    return [Finding("pam-sms-first", WARNING, what, why, fix)]


def check_unasked(stack: Stack, lines: list[tuple[Rule, Options]]) -> list[Finding]:
    """Return whether a user without a record gets in unasked, because of `nullok`.

    `lines` are Trex's. All other modules that ask refuse; the rest may succeed.
    """
    nullok = [rule for rule, options in lines if options.nullok]
    answers = {
        i: "ignore" if rule in nullok else "auth_err"
        for i, rule in enumerate(stack.rules)
        if rule in nullok or asks(rule)
    }
    if not nullok or not any(lets_in(stack.rules, run) for run in played(stack.rules, answers)):
        return []
    what = f"{nullok[0].where}: nullok, and a user without a record is asked nothing else"
    why = "Whoever knows the name of an account that is not set up gets in; system accounts too."
    fix = f"{put_after(nullok[0], PASSWORD)}  # or take nullok away"
    return [Finding("pam-unasked", ERROR, what, why, fix)]


def _check_one_try(rule: Rule) -> list[Finding]:
    counted = rule.actions.get("auth_err")
    if counted in (None, rule.actions.get("maxtries", rule.actions.get("default", "bad"))):
        return []
    what = f"{rule.where}: one_try, and maxtries has another action than auth_err"
    why = (
        "With one_try a wrong response is maxtries: what auth_err led to, such as a count, is left."
    )
    fix = with_control(rule, f"[{rule.control} maxtries={counted}]")
    return [Finding("pam-one-try", WARNING, what, why, fix)]


def _check_passwords(stack: Stack, rule: Rule, options: Options) -> list[Finding]:
    index = stack.rules.index(rule)
    if options.use_first_pass and not any(asks(other) for other in stack.rules[:index]):
        what = f"{rule.where}: use_first_pass, and no earlier module asks for a password"
        why = "There is no password to take a code from: this line refuses every login."
        return [Finding("pam-password", ERROR, what, why, without_argument(rule, "use_first_pass"))]
    if options.forward_pass and not any(_takes(other) for other in stack.rules[index + 1 :]):
        what = f"{rule.where}: forward_pass, and no later module takes the password"
        why = "What is typed before the code has no effect."
        fix = put_after(rule, "auth required pam_unix.so use_first_pass")
        return [Finding("pam-password", WARNING, what, why, fix)]
    return []


def _takes(rule: Rule) -> bool:
    unasked = TAKES_UNASKED.get(rule.name)
    return bool(set(rule.arguments) & set(TAKES)) or (
        unasked is not None and unasked not in rule.arguments
    )


def asks(rule: Rule) -> bool:
    """Return whether a module asks something; an unknown module counts as one that does."""
    if rule.name == "pam_exec.so":
        return "expose_authtok" in rule.arguments
    return bool(rule.actions) and rule.name not in SILENT
