"""The user's own ssh: its version, its settings for every host, and its known_hosts."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess

from trex.cli.client.connection import RECORDER, SETTING
from trex.cli.client.handover import ASKPASS, is_ours
from trex.cli.client.launch import find_ssh
from trex.cli.client.openssh import ASKED
from trex.cli.client.target import PREFIXED_SINCE
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.remedy import by_hand
from trex.errors import TrexError

SECONDS = 20
SETUP = "trex setup"
NOWHERE = "trex.invalid"  # RFC 2606: no host; its settings are those of every host
APT = "sudo apt install openssh-client"
CONFIG = "~/.ssh/config"
METHODS = "PreferredAuthentications publickey,keyboard-interactive,password"
# What ssh's settings for every host must not be: in `ssh -G`, why, and the line instead.
SETTINGS = {
    "kbdinteractiveauthentication no": (
        ERROR, "A challenge comes as a keyboard-interactive question.",
        "KbdInteractiveAuthentication yes"),
    "batchmode yes": (ERROR, "ssh then asks nothing, and no challenge comes.", "BatchMode no"),
    "numberofpasswordprompts 0": (ERROR, "ssh then asks nothing.", "NumberOfPasswordPrompts 3"),
    "stricthostkeychecking false": (
        WARNING, "A server in between is taken for the right one, and passes challenges on.",
        "StrictHostKeyChecking ask"),
    "userknownhostsfile /dev/null": (
        WARNING, "No host is recognized: one in between is not noticed.",
        "UserKnownHostsFile ~/.ssh/known_hosts"),
}  # fmt: skip


def check_ssh() -> list[Finding]:
    """Return what in ssh and its settings keeps a challenge from being shown, or answered."""
    try:
        ssh = find_ssh(dict(os.environ))
    except TrexError as error:
        return [Finding("client-ssh", ERROR, str(error), "Nothing logs in.", APT)]
    version = re.match(r"OpenSSH_(\d+)\.(\d+)", run_own([ssh, "-V"]))
    if not version or (int(version[1]), int(version[2])) < PREFIXED_SINCE:
        what = f"{ssh} is not OpenSSH {'.'.join(map(str, PREFIXED_SINCE))} or later"
        why = "It does not name the host that asks, so nothing is answered."
        return [Finding("client-ssh", ERROR, what, why, f"{APT}  # or use trex respond")]
    settings = run_own([ssh, "-G", NOWHERE]).splitlines()
    findings = [
        Finding("client-setting", severity, f"ssh's setting for every host: {line}", why,
                _first(instead))
        for line, (severity, why, instead) in SETTINGS.items()
        if line in settings
    ]  # fmt: skip
    methods = [line for line in settings if line.startswith("preferredauthentications ")]
    findings += _check_recording(settings)
    if methods and "keyboard-interactive" not in methods[0]:
        what = f"ssh's setting for every host: {methods[0]}"
        severity, why, _ = SETTINGS["kbdinteractiveauthentication no"]
        findings.append(Finding("client-setting", severity, what, why, _first(METHODS)))
    return findings


def _first(line: str) -> str:
    """Return the command that puts a line first in ssh's configuration: the first one counts."""
    path = os.path.expanduser(CONFIG)
    if os.path.exists(path) and os.path.getsize(path):
        return f"sed -i {shlex.quote(f'1i {line}')} {CONFIG}"
    return f"mkdir -p -m 0700 ~/.ssh; echo {shlex.quote(line)} >> {CONFIG}"


def _check_recording(settings: list[str]) -> list[Finding]:
    """Return whether plain ssh, where it answers, records the host key to compare."""
    commands = [line for line in settings if line.startswith(f"{SETTING} ")]
    if not is_ours(os.environ.get(ASKPASS, "")) or any(RECORDER in line for line in commands):
        return []
    what = "plain ssh does not record the host keys of its connections"
    why = "Challenges are answered without comparing them: a server in between may pass one on."
    fix = f"{SETUP}  # a KnownHostsCommand of your own takes its place" if commands else SETUP
    return [Finding("client-recording", WARNING, what, why, fix)]


def check_known_hosts(path: str) -> list[Finding]:
    """Return whether host keys can be compared with that file."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        what, why = f"there is no {path}", "The first login to each host asks about its key."
        return [
            Finding("client-hosts", NOTE, what, why, by_hand("compare it with the administrator's"))
        ]
    except OSError as error:
        why = "No host's key can be checked."
        return [
            Finding(
                "client-hosts",
                ERROR,
                f"{path}: {error.strerror}",
                why,
                by_hand(f"ls -ld {shlex.quote(path)} shows it"),
            )
        ]
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        why = "Others could make a server of theirs known as another."
        what = f"{path} can be written by others"
        return [Finding("client-hosts", ERROR, what, why, f"chmod go-w {shlex.quote(path)}")]
    return []


def run_own(arguments: list[str]) -> str:
    """Return what a program of the user's prints, "" if it cannot be run."""
    try:
        done = subprocess.run(  # noqa: S603 (a list of arguments; the user's own programs)
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=SECONDS, check=False, env={**os.environ, "LC_ALL": "C", ASKED: arguments[0]},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")
