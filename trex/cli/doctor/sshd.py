"""sshd's settings as sshd itself reports them (`sshd -T`), for each user."""

from __future__ import annotations

import subprocess

from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding

SSHD = "/usr/sbin/sshd"
SECONDS = 20
SERVICE = "sshd"
FILE = "/etc/ssh/sshd_config.d/01-trex.conf"
# For these two OpenSSH 9.2 uses the last line that it finds, for others the first.
ALONE = f"{FILE}, and nowhere else in /etc/ssh"
DEFAULT_GRACE = 120  # seconds; sshd's own MaxStartups was chosen for it
# Connections before login: from where on some are dropped, their percentage, the maximum.
STARTUPS = "100:30:200"
FEWEST_STARTUPS = 50
PER_SOURCE = 20
FEWEST_TRIES = 3  # an agent offers several keys, and each counts as a try
METHOD = "keyboard-interactive"
ASKS_PAM = (METHOD, "password")
ROOT_MAY = ("yes",)
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
            why = "sshd does not start with a configuration that it cannot read."
            return [Finding("sshd-config", ERROR, f"sshd -T: {error}", why, "sudo sshd -t")]
        for finding in _judge(settings, user, method, timeout):
            if finding not in findings:
                findings.append(finding)
    return findings


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
                        "PAM cannot ask a question.", f"{FILE}: {written} yes")
            )  # fmt: skip
    service = settings.get("pamservicename", SERVICE)  # from OpenSSH 9.8 on
    if service != SERVICE:
        findings.append(
            Finding("sshd-service", ERROR, f"sshd has PAMServiceName {service}",
                    f"sshd asks that service, but {SERVICE} was checked.",
                    f"trex doctor --service {service}; or {FILE}: PAMServiceName {SERVICE}")
        )  # fmt: skip
    if settings.get("passwordauthentication") == "yes":
        findings.append(
            Finding("sshd-password", WARNING, "sshd has PasswordAuthentication yes",
                    "Such a login uses the same PAM service, but cannot show a challenge.",
                    f"{FILE}: PasswordAuthentication no")
        )  # fmt: skip
    tries = settings.get("maxauthtries", "6")
    if tries.isdecimal() and int(tries) < FEWEST_TRIES:
        findings.append(
            Finding("sshd-tries", WARNING, f"sshd has MaxAuthTries {tries}",
                    "A client whose agent offers several SSH keys is cut off before it is asked.",
                    f"{FILE}: MaxAuthTries 6")
        )  # fmt: skip
    return findings


def _judge_methods(settings: Settings, strangers: str) -> list[Finding]:
    written = settings.get("authenticationmethods", "any")
    fix = f"{FILE}: AuthenticationMethods publickey,keyboard-interactive:pam"
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
                f"{FILE}: LoginGraceTime {timeout}")
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
        findings.append(
            Finding("sshd-startups", WARNING,
                    f"MaxStartups of sshd: expected {FEWEST_STARTUPS} or more as its first number, "
                    f"found {written}; a prompt may be open for {patience} seconds",
                    f"From {begin} open prompts on, sshd drops some of the new connections.",
                    f"{ALONE}: MaxStartups {STARTUPS}")
        )  # fmt: skip
    if settings.get("persourcemaxstartups", "none") == "none":
        findings.append(
            Finding("sshd-source", NOTE, "sshd has no PerSourceMaxStartups",
                    "One address can take all connections of MaxStartups, without a key.",
                    f"{ALONE}: PerSourceMaxStartups {PER_SOURCE}")
        )  # fmt: skip
    return findings


def _judge_root(settings: Settings, user: str) -> list[Finding]:
    permitted = settings.get("permitrootlogin", "")
    if user != "root" or permitted in ROOT_MAY:
        return []
    return [
        Finding("sshd-root", ERROR, f"sshd has PermitRootLogin {permitted}",
                "sshd then asks root nothing, so root cannot answer.",
                f"{FILE}: PermitRootLogin yes")
    ]  # fmt: skip
