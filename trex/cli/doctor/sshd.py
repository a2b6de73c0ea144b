"""What sshd's settings mean for Trex, for each user and wherever a login may come from."""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import TYPE_CHECKING

from trex.cli.acknowledged import Acknowledged, read_acknowledged
from trex.cli.doctor.barred import check_barred, is_barred
from trex.cli.doctor.blocks import WAY, Told
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.matching import LOOPBACK, MAX_ORIGINS, PUBLIC, bare
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.sshdfile import PRIVILEGE_SEPARATION, setting
from trex.cli.doctor.ways import ways_around
from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from trex.cli.doctor.effective import Effective, Sshd
    from trex.cli.doctor.matching import Origin

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
UNREADABLE = (OSError, subprocess.TimeoutExpired, ValueError)  # what `Sshd` raises
INTENDED = "If that is intended: [[exempt]] in /etc/trex/doctor.toml."


def check_sshd(sshd: Sshd, users: list[str], others: list[str], method: str, timeout: int
               ) -> list[Finding]:  # fmt: skip
    """Return what keeps sshd from asking `users`, refuses them, or lets anybody in beside Trex.

    `others` are accounts for which only the last is checked. `method` is the first that is asked,
    `timeout` the longest of all, in seconds.
    """
    try:
        findings = _check_settings(sshd, users, others, method, timeout)
        return [*findings, *check_barred(sshd, users)]
    except UNREADABLE as error:
        return [_unreadable(error)]


def _unreadable(error: Exception) -> Finding:
    """Return the finding for an sshd that does not say its settings."""
    what = f"sshd -T: {error}"
    if isinstance(error, FileNotFoundError):
        what, why = "sshd is not installed", "Its settings were not checked."
        return Finding("sshd-absent", NOTE, what, why, "apt install openssh-server")
    if PRIVILEGE_SEPARATION in what and not os.path.isdir(PRIVILEGE_SEPARATION):
        what = f"sshd does not run: there is no {PRIVILEGE_SEPARATION}"
        why = "Without it sshd does not say its settings, so they were not checked."
        return Finding("sshd-absent", NOTE, what, why, f"mkdir -m 0755 {PRIVILEGE_SEPARATION}")
    why = "sshd does not start with a configuration that it cannot read."
    return Finding("sshd-config", ERROR, what, why, by_hand("correct what sshd -t names"))


def key_comes_first(sshd: Sshd) -> bool:
    """Return whether something else, such as an SSH key, is required before PAM asks anybody."""
    try:
        told = [sshd.ask("", origin) for origin in sshd.origins]
    except UNREADABLE:
        return False
    return all(_asks_later(effective.get("authenticationmethods", "any")) for effective in told)


def _asks_later(written: str) -> bool:
    return written != "any" and not any(way.startswith(ASKS_PAM) for way in written.split())


def host_key_files(sshd: Sshd) -> list[str]:
    """Return the paths of sshd's host keys, as HostKey has them; [] if that cannot be found out."""
    try:
        return sshd.usual.every("hostkey")
    except UNREADABLE:
        return []


def addresses_of(sshd: Sshd) -> list[str]:
    """Return the addresses that logins may come from: examples of what Match lines name too."""
    try:
        return list(dict.fromkeys(origin.address for origin in sshd.origins))
    except UNREADABLE:
        return [LOOPBACK, PUBLIC]


def every_account(sshd: Sshd) -> list[str]:
    """Return all accounts, those that only Match lines name too (getpwent(3) need not list all)."""
    names = [entry.pw_name for entry in pwd.getpwall()]
    try:
        named = [bare(text) for match in sshd.matches for text in match.patterns.get("user", ())]
    except UNREADABLE:
        named = []
    return list(dict.fromkeys([*names, *filter(_is_known, named)]))


def _is_known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        return False
    return True


def _check_settings(
    sshd: Sshd, users: list[str], others: list[str], method: str, timeout: int
) -> list[Finding]:
    told = Told(sshd.config, sshd.origins)
    notes: dict[Finding, None] = {}
    acknowledged = _acknowledged()
    for origin in sshd.origins:
        for user in users or [""]:
            if user and _is_exempt(sshd, acknowledged, user, origin):
                continue  # Trex is not to ask them: a note says so below
            effective = sshd.ask(user, origin)
            for finding in _judge(effective, user, method, timeout):
                told.add(finding, effective, user, origin)
        for user in dict.fromkeys([*users, *others]):
            if not _is_way_around(sshd, user, origin):
                continue
            if note := _exempt(acknowledged, user, origin.address):
                notes.setdefault(note)
                continue
            effective = sshd.ask(user, origin)
            for finding in _judge_around(effective, STRANGERS[method]):
                told.add(finding, effective, user, origin)
    return [*told.findings(), *_other_origins(sshd), *notes]


def _acknowledged() -> Acknowledged:
    try:
        return read_acknowledged()
    except CommandError:  # the file has a check of its own
        return Acknowledged()


def _is_way_around(sshd: Sshd, user: str, origin: Origin) -> bool:
    """Return whether sshd lets this user in without Trex, although PAM is used."""
    effective = sshd.ask(user, origin)
    if effective.get("usepam") != "yes" or not _is_known(user):  # of which there are findings
        return False
    around = ways_around(effective, pwd.getpwnam(user).pw_uid)
    return bool(around) and not is_barred(sshd, user, origin)


def _is_exempt(sshd: Sshd, acknowledged: Acknowledged, user: str, origin: Origin) -> bool:
    around = _is_way_around(sshd, user, origin)
    return around and _exempt(acknowledged, user, origin.address) is not None


def _exempt(acknowledged: Acknowledged, user: str, address: str) -> Finding | None:
    """Return the note for an account that logs in without Trex by intention."""
    entry = acknowledged.why_exempt(user, pwd.getpwnam(user).pw_gid, address)
    if entry is None:
        return None
    what = f"{user} logs in without Trex, as /etc/trex/doctor.toml has it"
    return Finding(
        "exempt", NOTE, what, entry.reason, by_hand("nothing, as long as that is true"), user
    )


def _other_origins(sshd: Sshd) -> list[Finding]:
    if sshd.has_all_origins:
        return []
    what = f"sshd's Match lines tell more than {MAX_ORIGINS} origins apart"
    why = "Not all combinations of their addresses, ports and hosts were tried."
    return [
        Finding("sshd-origins", WARNING, what, why, by_hand(f"fewer Match lines in {sshd.config}"))
    ]


def _judge(settings: Effective, user: str, method: str, timeout: int) -> list[Finding]:
    return [
        *_judge_asking(settings),
        *_judge_methods(settings, STRANGERS[method]),
        *_judge_time(settings, timeout),
        *_judge_startups(settings, timeout),
        *_judge_root(settings, user),
    ]


def _judge_asking(settings: Effective) -> list[Finding]:
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


def _judge_around(settings: Effective, strangers: str) -> list[Finding]:
    """Return what it is that lets somebody in without Trex."""
    written = settings.get("authenticationmethods", "any")
    what = f"sshd has AuthenticationMethods {written}"
    severity, why = WARNING, "One of these ways does not ask Trex."
    if written == "any":
        what = "sshd has no AuthenticationMethods"
        why = f"An SSH key alone is enough, and {strangers}."
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
