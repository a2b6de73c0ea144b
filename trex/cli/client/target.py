"""Where ssh connects to, according to the client, not the server."""

from __future__ import annotations

import os

from trex.cli.client.hosts import UNKNOWN, parse_host, split_port
from trex.cli.client.openssh import NO_VERSION, version_and_settings
from trex.cli.errors import CommandError, Refused

PREFIXED_SINCE = (8, 5)  # OpenSSH
SILENT = ("QUIET", "SILENT", "FATAL")  # LogLevel, as set and as -G prints it; -q sets the first
STANDARD_PORT = "22"
NAMES = ("user", "host", "hostname", "hostkeyalias", "proxyjump")  # as -G prints them


class Target:
    """The server that asks: the user there, and the host's names in lower case.

    The first name is shown. `port` is UNKNOWN for a jump host, whose settings are not those of this
    ssh. `quiet` if ssh was told to print nothing. `host_keys` are those of the connection, as
    challenges name them; () if they are not known.
    """

    __slots__ = ("host_keys", "hosts", "port", "quiet", "user")

    def __init__(
        self, user: str, hosts: list[str] | None = None, port: str = STANDARD_PORT, *,
        quiet: bool = False, host_keys: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.user = user
        self.hosts = hosts or []
        self.port = port
        self.quiet = quiet
        self.host_keys = host_keys

    @property
    def names(self) -> list[str]:
        """The host's names in the form of known_hosts: `host`, or `[host]:port`."""
        usual = self.port in (STANDARD_PORT, UNKNOWN)
        return self.hosts if usual else [f"[{host}]:{self.port}" for host in self.hosts]

    @property
    def host(self) -> str:
        """The first of them, which is shown."""
        return self.names[0]


ANYWHERE = Target("", port=UNKNOWN)  # for a pasted message


def named_target(
    user: str, host: str, host_key: str | bytes | None, *, quiet: bool = False
) -> Target:
    """Return the target that a user or a program names: `host` may have a port, `[host]:port`.

    Raises CommandError for what is no host name, and no fingerprint of a host key.
    """
    from trex.cli.client.connection import named_key  # `trex ssh` learns it in another way

    name, port = split_port(parse_host(host))
    if not user or not user.isprintable():
        raise CommandError(f"expected USER@HOST, found the user {user!r}")
    keys = () if host_key is None else (named_key(host_key),)
    return Target(user, [name], port or STANDARD_PORT, quiet=quiet, host_keys=keys)


def split_prompt(prompt: str) -> tuple[str, str, str] | None:
    """Return user, host and question of a prompt that a server asks through ssh, or None.

    ssh writes `(user@host) ` before it, to show which of several connections asks; with ProxyJump
    that may be the jump host's.
    """
    end = prompt.find(") ")
    user, at, host = prompt[1:end].rpartition("@")
    if not prompt.startswith("(") or end < 0 or not (user and at and host):
        return None
    return user, host.lower().removesuffix("."), prompt[end + len(") ") :]


def asking_ssh(ssh: str) -> str:
    """Return the program that asks, which has started this one; `ssh` on systems without /proc.

    The `ssh` on PATH may be a script that has become another ssh. This path is valid as long as
    that ssh runs, even if its file was replaced meanwhile.
    """
    asks = f"/proc/{os.getppid()}/exe"
    return asks if os.access(asks, os.X_OK) else ssh


def configured_target(ssh: str, destination: str) -> Target:
    """Return where `ssh destination` goes. Raises CommandError if ssh does not take it."""
    _, settings = version_and_settings(ssh, ["--", destination])
    if "hostname" not in settings:
        raise CommandError(f"ssh does not take {destination!r} as a host", f"{ssh} -G HOST")
    hosts = [
        settings[key].lower().removesuffix(".")
        for key in ("hostkeyalias", "hostname", "host")
        if settings.get(key, "none") != "none"
    ]
    return Target(settings["user"], list(dict.fromkeys(hosts)), settings["port"])


def find_target(user: str, host: str, ssh: str, arguments: list[str] | None) -> Target:
    """Ask `ssh`, run with these arguments, and return what `read_target` makes of it."""
    return read_target(user, host, *version_and_settings(ssh, arguments))


def read_target(user: str, host: str, version: tuple[int, int], settings: dict[str, str]) -> Target:
    """Return all names that the client has for the host that ssh names before a prompt.

    `settings` are those of the ssh run (`ssh -G`), with the host's names. Raises Refused for
    an ssh that writes no such name before a prompt, because the server could write one; and for
    names that contain `)`, which ssh before 9.6 accepts, because a prompt could then seem to come
    from another host.
    """
    if version == NO_VERSION:
        raise Refused("what asks is not OpenSSH, so the asking host is unknown", "trex respond")
    if version < PREFIXED_SINCE:
        raise Refused(
            "ssh is older than OpenSSH 8.5 and does not name the asking host", "trex respond"
        )
    target = Target(user, [host], UNKNOWN)
    if any(")" in settings.get(key, "") for key in NAMES):
        raise Refused("a name in ssh's settings contains `)`, so the asking host is unknown")
    target.quiet = settings.get("loglevel") in SILENT
    ours = [
        settings[key].lower().removesuffix(".")
        for key in ("hostkeyalias", "hostname", "host")
        if settings.get(key, "none") != "none"
    ]
    # ssh writes the first of them before a prompt. Any other name is a jump host's (ProxyJump).
    if settings.get("user") == user and ours[:1] == [host]:
        target.hosts = list(dict.fromkeys(ours))
        target.port = settings.get("port", STANDARD_PORT)
    return target
