"""Programs that do not show what Trex asks, by their PAM service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.doctor import sudoers
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.doctor.remedy import line_of, set_line, with_arguments, without_argument
from trex.login.options import CENTRAL_TOTP

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule
    from trex.login.options import Options

# docs/programs.md says how each was tested.
SENDS_A_PASSWORD = "sends a password that is typed before Trex asks"  # noqa: S105 (no password)
TAKES_FIRST = "reads a password before it asks PAM, and shows none of PAM's text"
BLIND = {
    "dovecot": SENDS_A_PASSWORD,
    "vsftpd": SENDS_A_PASSWORD,
    "i3lock": TAKES_FIRST,
    "xscreensaver": "cuts off a long text",
}
# Programs that give a user more rights (README.md, central mode).
OWN_RECORD = (*sudoers.SERVICES, "doas", "polkit-1")
CENTRAL = "auth_file=/etc/trex/users/%u gnupg_home=/var/lib/trex/gnupg run_as=_trex"
CENTRAL_CODES = " ".join(f"{name}={value}" for name, value in CENTRAL_TOTP.items())
CENTRAL_FILES = {
    "openpgp": CENTRAL,
    "totp": CENTRAL_CODES,
    "recovery": "recovery_file=/var/lib/trex/recovery/%u run_as=_trex",
}
ENROL = {
    "openpgp": "trex enroll --central --user NAME",
    "totp": "trex totp enroll --central --user NAME",
}
TYPED_UNSEEN = ("totp", "recovery")  # whoever answers has to see no text for that
# One line is enough for a PIN, which is sent when Trex is asked.
ONE_LINE = ("xscreensaver",)


def check_program(service: str, rule: Rule, options: Options) -> list[Finding]:
    """Return why nobody can answer this line of Trex's in this program."""
    if service in BLIND and options.method not in TYPED_UNSEEN:
        return _check_blind(service, rule, options)
    if service in OWN_RECORD:
        return [*_check_sudo(service, rule, options), *_check_own(service, rule, options)]
    if options.message == "info" and service == "sshd":
        what = f"{rule.where}: message=info"
        why = "From 10.3 on, sshd shows the message apart from the prompt, and ssh may garble it."
        return [Finding("program-info", WARNING, what, why, without_argument(rule, "message"))]
    return []


def _check_blind(service: str, rule: Rule, options: Options) -> list[Finding]:
    if options.method == "sms" and service in ONE_LINE:
        return []
    what = f"{rule.where}: {service} cannot show what method={options.method} asks"
    why = f"It {BLIND[service]}: every response is wrong."
    fix = f"{set_line(rule, line_of(rule, ['method=totp']))}  # then: trex totp enroll"
    return [Finding("program-blind", ERROR, what, why, fix)]


def _check_sudo(service: str, rule: Rule, options: Options) -> list[Finding]:
    if options.method != "openpgp" or service not in sudoers.SERVICES:
        return []
    if options.message == "info" or not sudoers.can_be_read() or not sudoers.hides_prompts():
        return []
    what = f"{sudoers.SUDOERS[0]} sets passprompt_override"
    why = f"{service} shows its own prompt instead of the challenge: nobody can answer it."
    fix = with_arguments(rule, "message=info")
    return [Finding("sudo-prompt", ERROR, what, why, fix)]


def central_arguments(options: Options) -> str:
    """Return what a line lacks that is to give a user more rights; "" if it lacks nothing."""
    if options.method == "sms" or options.run_as:
        return ""
    return CENTRAL_FILES[options.method]


def _check_own(service: str, rule: Rule, options: Options) -> list[Finding]:
    arguments = central_arguments(options)
    if not arguments:
        return []
    what = f"{rule.where}: {service} asks Trex without run_as="
    why = "A program of the user's can replace the key or secret, or trace gpg, and so become root."
    enrol = ENROL.get(options.method, "each user")
    fix = f"{with_arguments(rule, *arguments.split())}  # before that, enrol: {enrol}"
    return [Finding("own-record", ERROR, what, why, fix)]
