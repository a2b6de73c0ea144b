"""What one set of sshd's settings is to a login that Trex is to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.doctor.blocks import WAY
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.sshdfile import setting

if TYPE_CHECKING:
    from trex.cli.doctor.effective import Effective

SERVICE = "sshd"
DEFAULT_GRACE = 120  # seconds; sshd's own MaxStartups was chosen for it
# Connections before login: from where on some are dropped, their percentage, the maximum.
STARTUPS = "100:30:200"
FEWEST_STARTUPS = 50
PER_SOURCE = 20
FEWEST_TRIES = 3  # an agent offers several keys, and each counts as a try
METHOD = "keyboard-interactive"
ASKS_PAM = (METHOD, "password")
# PermitRootLogin, and what root's SSH login is then.
NEVER = "no"
ROOT_MAY = ("yes",)
INSTEAD = "leave it, log in as yourself, and use su or sudo: trex doctor --service su --user root"
# What people without an SSH key can do, by method.
STRANGERS = {
    "openpgp": "strangers can make the server run gpg",
    "totp": "strangers can guess codes",
    "sms": "strangers can have messages sent",
    "recovery": "strangers can try codes",
}
INTENDED = "If that is intended: [[exempt]] in /etc/trex/doctor.toml."


def judge_settings(settings: Effective, user: str, method: str, timeout: int) -> list[Finding]:
    """Return what keeps sshd from asking `user`, or lets strangers ask, with these settings.

    `method` is the first that is asked, `timeout` the longest of all, in seconds.
    """
    return [
        *judge_asking(settings),
        *_judge_methods(settings, STRANGERS[method]),
        *_judge_time(settings, timeout),
        *_judge_startups(settings, timeout),
        *_judge_root(settings, user),
    ]


def judge_asking(settings: Effective) -> list[Finding]:
    """Return why sshd asks PAM nothing, or nothing that shows a challenge."""
    findings = []
    for name, written in (
        ("usepam", "UsePAM"),
        ("kbdinteractiveauthentication", "KbdInteractiveAuthentication"),
    ):
        if settings.get(name) != "yes":
            findings.append(
                Finding(f"sshd-{name}", ERROR, f"sshd has {written} {settings.get(name, 'no')}",
                        "PAM cannot ask a question.",
                        setting(written, "yes", settings.get(name, "no")))
            )  # fmt: skip
    service = settings.get("pamservicename", SERVICE)  # from OpenSSH 9.8 on
    if service != SERVICE:
        findings.append(
            Finding("sshd-service", ERROR, f"sshd has PAMServiceName {service}",
                    f"sshd asks that service, but {SERVICE} was checked.",
                    setting("PAMServiceName", SERVICE, service)
                    + f"  # or: trex doctor --service {service}")
        )  # fmt: skip
    if settings.get("passwordauthentication") == "yes":
        findings.append(
            Finding("sshd-password", WARNING, "sshd has PasswordAuthentication yes",
                    "Such a login uses the same PAM service, but cannot show a challenge.",
                    setting("PasswordAuthentication", "no", "yes"))
        )  # fmt: skip
    tries = settings.get("maxauthtries", "6")
    if tries.isdecimal() and int(tries) < FEWEST_TRIES:
        findings.append(
            Finding("sshd-tries", WARNING, f"sshd has MaxAuthTries {tries}",
                    "A client whose agent offers several SSH keys is cut off before it is asked.",
                    setting("MaxAuthTries", "6", tries))
        )  # fmt: skip
    return findings


def _judge_methods(settings: Effective, strangers: str) -> list[Finding]:
    """Return what is wrong with AuthenticationMethods for somebody whom Trex is to ask."""
    written = settings.get("authenticationmethods", "any")
    what = f"sshd has AuthenticationMethods {written}"
    fix = setting("AuthenticationMethods", WAY, written)
    if written != "any" and not any(METHOD in way for way in written.split()):
        why = f"None of these ways asks PAM, so Trex is not asked.{_intended(settings)}"
        return [Finding("sshd-methods", ERROR, what, why, fix)]
    if any(way.startswith(METHOD) for way in written.split()):
        why = f"{strangers.capitalize()}, and learn who is enrolled."
        return [Finding("sshd-strangers", WARNING, what, why, fix)]
    return []


def judge_around(settings: Effective, method: str) -> list[Finding]:
    """Return what it is that lets somebody in without Trex."""
    written = settings.get("authenticationmethods", "any")
    what = f"sshd has AuthenticationMethods {written}"
    severity, why = WARNING, "One of these ways does not ask Trex."
    if written == "any":
        what = "sshd has no AuthenticationMethods"
        why = f"An SSH key alone is enough, and {STRANGERS[method]}."
    elif not any(METHOD in way for way in written.split()):
        severity, why = ERROR, "None of these ways asks PAM, so Trex is not asked."
    why += _intended(settings)
    fix = setting("AuthenticationMethods", WAY, written)
    return [Finding("sshd-methods", severity, what, why, fix)]


def _intended(settings: Effective) -> str:
    return f" {INTENDED}" if settings.block("authenticationmethods") else ""


def _judge_time(settings: Effective, timeout: int) -> list[Finding]:
    grace = settings.get("logingracetime", "120")
    if not grace.isdecimal() or not 0 < int(grace) < timeout:
        return []
    return [
        Finding("sshd-grace", WARNING,
                f"sshd has LoginGraceTime {grace}, but a challenge is valid for {timeout} seconds",
                "sshd closes the connection while the challenge can still be answered.",
                setting("LoginGraceTime", str(timeout), grace))
    ]  # fmt: skip


def _judge_startups(settings: Effective, timeout: int) -> list[Finding]:
    """Check whether open prompts, each a connection before login, keep others out."""
    grace = settings.get("logingracetime", "120")
    patience = max(int(grace) if grace.isdecimal() else 0, timeout)
    if patience <= DEFAULT_GRACE:
        return []
    findings = []
    written = settings.get("maxstartups", "10:30:100")
    begin = written.partition(":")[0]
    if begin.isdecimal() and int(begin) < FEWEST_STARTUPS:
        _, rate, full = [*written.split(":"), "100", begin][:3]
        part = "all" if rate == "100" or full == begin else f"{rate}%, and soon more,"
        findings.append(
            Finding("sshd-startups", WARNING,
                    f"MaxStartups of sshd: expected {FEWEST_STARTUPS} or more as its first number, "
                    f"found {written}; a prompt may be open for {patience} seconds",
                    f"From {begin} open prompts on, sshd drops {part} of the new connections.",
                    setting("MaxStartups", STARTUPS, written))
        )  # fmt: skip
    if settings.get("persourcemaxstartups", "none") == "none":
        findings.append(
            Finding("sshd-source", NOTE, "sshd has no PerSourceMaxStartups",
                    "One address can take all connections of MaxStartups, without a key.",
                    setting("PerSourceMaxStartups", str(PER_SOURCE), "none"))
        )  # fmt: skip
    return findings


def _judge_root(settings: Effective, user: str) -> list[Finding]:
    permitted = settings.get("permitrootlogin", "")
    if user != "root" or permitted in ROOT_MAY:
        return []
    what = f"sshd has PermitRootLogin {permitted}"
    if permitted == NEVER:
        why = "Root does not log in over SSH, whatever record there is."
        return [Finding("sshd-root", NOTE, what, why, by_hand(INSTEAD))]
    why = "sshd then asks root nothing, so root cannot log in where an answer is required."
    opens = setting("PermitRootLogin", "yes", permitted)
    fix = f"{opens}  # this opens root's login to the network; or {INSTEAD}"
    return [Finding("sshd-root", ERROR, what, why, fix)]
