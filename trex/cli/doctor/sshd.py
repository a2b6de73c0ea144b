"""sshd's settings as sshd itself reports them (`sshd -T`), for each user."""

from __future__ import annotations

import os
import subprocess

from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.sshdfile import PRIVILEGE_SEPARATION, setting

SSHD = "/usr/sbin/sshd"
SECONDS = 20
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
Settings = dict[str, str]


def check_sshd(users: list[str], method: str, timeout: int) -> list[Finding]:
    """Return what keeps sshd from asking, or from waiting as long as a challenge is valid.

    `method` is the first that is asked, `timeout` the longest of all, in seconds.
    """
    findings: list[Finding] = []
    for user in users or [""]:
        try:
            settings = _effective(user)
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            return [_unreadable(error)]
        for finding in _judge(settings, user, method, timeout):
            if finding not in findings:
                findings.append(finding)
    return findings


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


def key_comes_first() -> bool:
    """Return whether something else, such as an SSH key, is required before PAM asks."""
    try:
        written = _effective("").get("authenticationmethods", "any")
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return False
    return written != "any" and not any(way.startswith(ASKS_PAM) for way in written.split())


def host_key_files() -> list[str]:
    """Return the paths of sshd's host keys, as HostKey has them; [] if that cannot be found out."""
    try:
        printed = _printed("")
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return []
    pairs = (line.partition(" ") for line in printed.splitlines())
    return [value.strip() for name, _, value in pairs if name.lower() == "hostkey"]


def _effective(user: str) -> Settings:
    """Return the settings for `user`. Raises ValueError with sshd's message."""
    pairs = (line.partition(" ") for line in _printed(user).splitlines())
    return {name.lower(): value.strip() for name, _, value in pairs}


def _printed(user: str) -> str:
    match = ["-C", f"user={user},host=localhost,addr=127.0.0.1"] if user else []
    done = subprocess.run(  # noqa: S603 (an absolute path and a list)
        [SSHD, "-T", *match], capture_output=True, text=True, check=False, timeout=SECONDS,
        stdin=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    if done.returncode != 0:
        raise ValueError(" ".join(done.stderr.split()) or f"exit status {done.returncode}")
    return done.stdout


def _judge(settings: Settings, user: str, method: str, timeout: int) -> list[Finding]:
    return [
        *_judge_asking(settings),
        *_judge_methods(settings, STRANGERS[method]),
        *_judge_time(settings, timeout),
        *_judge_startups(settings, timeout),
        *_judge_root(settings, user),
    ]


def _judge_asking(settings: Settings) -> list[Finding]:
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


def _judge_methods(settings: Settings, strangers: str) -> list[Finding]:
    written = settings.get("authenticationmethods", "any")
    fix = setting("AuthenticationMethods", "publickey,keyboard-interactive:pam", written)
    if written == "any":
        return [
            Finding("sshd-methods", WARNING, "sshd has no AuthenticationMethods",
                    f"An SSH key alone is enough, and {strangers}.", fix)
        ]  # fmt: skip
    ways = [way.split(",") for way in written.split()]
    asking = [way for way in ways if any(method.startswith(METHOD) for method in way)]
    if not asking:
        return [
            Finding("sshd-methods", ERROR, f"sshd has AuthenticationMethods {written}",
                    "None of these ways asks PAM, so Trex is not asked.", fix)
        ]  # fmt: skip
    findings = []
    if len(asking) < len(ways):
        findings.append(
            Finding("sshd-methods", WARNING, f"sshd has AuthenticationMethods {written}",
                    "One of these ways does not ask Trex.", fix)
        )  # fmt: skip
    if any(way[0].startswith(METHOD) for way in asking):
        findings.append(
            Finding("sshd-strangers", WARNING, f"sshd has AuthenticationMethods {written}",
                    f"{strangers.capitalize()}, and learn who is enrolled.", fix)
        )  # fmt: skip
    return findings


def _judge_time(settings: Settings, timeout: int) -> list[Finding]:
    grace = settings.get("logingracetime", "120")
    if not grace.isdecimal() or not 0 < int(grace) < timeout:
        return []
    return [
        Finding("sshd-grace", WARNING,
                f"sshd has LoginGraceTime {grace}, but a challenge is valid for {timeout} seconds",
                "sshd closes the connection while the challenge can still be answered.",
                setting("LoginGraceTime", str(timeout), grace))
    ]  # fmt: skip


def _judge_startups(settings: Settings, timeout: int) -> list[Finding]:
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


def _judge_root(settings: Settings, user: str) -> list[Finding]:
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
