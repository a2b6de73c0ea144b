"""Where ssh goes: what the client itself says, not the server."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field

from trex.cli.client.hosts import UNKNOWN
from trex.cli.errors import Refused

PREFIXED_SINCE = (8, 5)  # OpenSSH
NO_VERSION = (0, 0)
SILENT = ("QUIET", "SILENT", "FATAL")  # LogLevel, as set and as -G says it; -q sets the first
SSH_SECONDS = 20  # for a `Match exec` in the user's configuration
STANDARD_PORT = "22"
NAMES = ("user", "host", "hostname", "hostkeyalias", "proxyjump")  # as -G says them


@dataclass
class Target:
    """The server that asks: the user there, and the host's names in small letters."""

    user: str
    hosts: list[str] = field(default_factory=list)  # the first is the one to show
    port: str = STANDARD_PORT  # UNKNOWN for a host on the way, whose settings are not ours
    quiet: bool = False  # ssh was told to say nothing

    @property
    def host(self) -> str:
        """Return the host as known_hosts has it: `host`, or `[host]:port`."""
        usual = self.port in (STANDARD_PORT, UNKNOWN)
        return self.hosts[0] if usual else f"[{self.hosts[0]}]:{self.port}"


ANYWHERE = Target("", port=UNKNOWN)  # for a message that somebody pasted


def split_prompt(prompt: str) -> tuple[str, str, str] | None:
    """Return user, host and question of a prompt that a server asks through ssh, or None.

    ssh writes `(user@host) ` before it, so that whoever reads it knows which of several
    connections asks; with ProxyJump that may be another one than the user asked for.
    """
    end = prompt.find(") ")
    user, at, host = prompt[1:end].rpartition("@")
    if not prompt.startswith("(") or end < 0 or not (user and at and host):
        return None
    return user, host.lower().removesuffix("."), prompt[end + len(") ") :]


def asking_ssh(ssh: str) -> str:
    """Return the program that asks, which has started this one; `ssh` where no /proc tells.

    What stands on PATH may be a script that has become another ssh. The path is good for as long as
    that runs, also where its file was replaced meanwhile.
    """
    asks = f"/proc/{os.getppid()}/exe"
    return asks if os.access(asks, os.X_OK) else ssh


def find_target(user: str, host: str, ssh: str, arguments: list[str] | None) -> Target:
    """Return all that the client calls the host which ssh names before a prompt.

    `arguments` are those of the ssh run, asked with -G (ssh(1)) for the names that they give that
    host, and its port. Raises Refused for an ssh that writes no such name: the server could write
    one then; and for names with a `)`, which ssh before 9.6 takes: they could end in another's.
    """
    version = _version(ssh)
    if version == NO_VERSION:
        raise Refused("what asks is not OpenSSH, so nothing says who asks", "trex respond")
    if version < PREFIXED_SINCE:
        raise Refused("ssh is older than OpenSSH 8.5 and does not say who asks", "trex respond")
    target = Target(user, [host], UNKNOWN)
    settings = _settings(ssh, arguments) if arguments else {}
    if any(")" in settings.get(key, "") for key in NAMES):
        raise Refused("a name that ssh goes by has a `)` in it, so nothing says who asks")
    target.quiet = settings.get("loglevel") in SILENT
    ours = [
        settings[key].lower().removesuffix(".")
        for key in ("hostkeyalias", "hostname", "host")
        if settings.get(key, "none") != "none"
    ]
    # Before a prompt ssh writes the first of them. Another name is a host's on the way (ProxyJump).
    if settings.get("user") == user and ours[:1] == [host]:
        target.hosts = list(dict.fromkeys(ours))
        target.port = settings.get("port", STANDARD_PORT)
    return target


def _settings(ssh: str, arguments: list[str]) -> dict[str, str]:
    lines = _ask(ssh, ["-G", *arguments]).splitlines()
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def _version(ssh: str) -> tuple[int, int]:
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", _ask(ssh, ["-V"]))
    return (int(found[1]), int(found[2])) if found else NO_VERSION


def _ask(ssh: str, arguments: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (a list of arguments; the user's own ssh)
            [ssh, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if arguments == ["-V"] else subprocess.DEVNULL,
            timeout=SSH_SECONDS, check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "surrogateescape")
