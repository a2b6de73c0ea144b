"""Programs that do not show what Trex asks: by the PAM service that each of them has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.doctor import sudoers
from trex.cli.doctor.finding import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule
    from trex.login.options import Options

# docs/programs.md, which says how each was tried.
SENDS_A_PASSWORD = "sends a password that was typed before Trex asks"  # noqa: S105 (no password)
TAKES_FIRST = "takes what is typed before it asks PAM, and shows no text of PAM's"
BLIND = {
    "dovecot": SENDS_A_PASSWORD,
    "vsftpd": SENDS_A_PASSWORD,
    "i3lock": TAKES_FIRST,
    "xscreensaver": "cuts a long text off",
}
# Programs that make the user who answers more than that user (README.md, central mode).
OWN_RECORD = (*sudoers.SERVICES, "doas", "polkit-1")
CENTRAL = "auth_file=/etc/trex/users/%u gnupg_home=/var/lib/trex/gnupg run_as=_trex"
CENTRAL_CODES = "secret=/var/lib/trex/totp/%u run_as=_trex-totp"
# A PIN is sent only once Trex is asked; who is shown one line can type it then.
ONE_LINE = ("xscreensaver",)


def check_program(service: str, rule: Rule, options: Options) -> list[Finding]:
    """Return why nobody could answer this line of Trex's in this program."""
    if service in BLIND and options.method != "totp":
        return _check_blind(service, rule, options)
    if service in OWN_RECORD:
        return [*_check_sudo(service, rule, options), *_check_own(service, rule, options)]
    if options.message == "info" and service == "sshd":
        what = f"{rule.place}: message=info"
        why = "sshd from 10.3 on shows it apart from the prompt, and ssh may spoil it."
        mend = f"sudoedit {rule.path}, line {rule.line}: without message=info"
        return [Finding("program-info", WARNING, what, why, mend)]
    return []


def _check_blind(service: str, rule: Rule, options: Options) -> list[Finding]:
    if options.method == "sms" and service in ONE_LINE:
        return []
    what = f"{rule.place}: {service} cannot show what method={options.method} asks"
    why = f"It {BLIND[service]}: every response is wrong."
    mend = f"sudoedit {rule.path}, line {rule.line}: method=totp"
    return [Finding("program-blind", ERROR, what, why, mend)]


def _check_sudo(service: str, rule: Rule, options: Options) -> list[Finding]:
    if options.method != "openpgp" or service not in sudoers.SERVICES:
        return []
    if options.message == "info" or not sudoers.can_be_read() or not sudoers.hides_prompts():
        return []
    what = f"{sudoers.SUDOERS[0]} sets passprompt_override"
    why = f"{service} shows a prompt of its own in place of the challenge: nobody can answer it."
    mend = f"sudoedit {rule.path}, line {rule.line}: message=info"
    return [Finding("sudo-prompt", ERROR, what, why, mend)]


def _check_own(service: str, rule: Rule, options: Options) -> list[Finding]:
    if options.method == "sms" or options.run_as:
        return []
    arguments = CENTRAL if options.method == "openpgp" else CENTRAL_CODES
    what = f"{rule.place}: {service} asks Trex without run_as="
    why = "What runs as the user can put another key or secret in place, or trace gpg: and is root."
    mend = f"sudoedit {rule.path}, line {rule.line}: {arguments} (README.md, central mode)"
    return [Finding("own-record", WARNING, what, why, mend)]
