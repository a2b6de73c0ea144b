"""The host keys that challenges name, and whether sshd has others."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from trex.cli.delegate import hint_for
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.errors import FileUnsafe, NoRecord, OptionError
from trex.openpgp.hostkeys import NONE, host_keys, read_key, short, usual_files

if TYPE_CHECKING:
    from trex.login.options import Options

SECONDS = 20
OPEN = "A server that a user takes for this one can pass its challenges on, and get in."
REFUSED = "trex ssh refuses to answer over a connection with this key."


def check_host_keys(options: Options, of_sshd: dict[str, str], *, is_remote: bool) -> list[Finding]:
    """Return which host keys the challenges of a line name, and what is wrong with them.

    `of_sshd` has the host keys of sshd by their paths, as `keys_of_sshd` returns them.
    Where nobody comes over the network (`is_remote`), there may be none to name.
    """
    chosen = options.host_keys
    if chosen == NONE:
        fix = "leave out host_keys=none, unless something else than sshd ends the connection"
        return [Finding("hostkeys-none", NOTE, "challenges name no host keys", OPEN, fix)]
    try:
        named = host_keys(chosen, [])
    except OptionError as error:
        fix = "name files of root's with an SSH public key, or leave out host_keys="
        return [Finding("hostkeys-file", ERROR, str(error), "Every login is refused.", fix)]
    if not named:
        fix = "ssh-keygen -y makes a public key from a host key; host_keys= names other files"
        what = "challenges name no host keys"
        if not is_remote:
            return _unusable()
        return [*_unusable(), Finding("hostkeys-none", WARNING, what, OPEN, fix)]
    findings = [] if chosen else _unusable()
    for path, key in of_sshd.items():
        if key not in named:
            what = f"sshd has the host key {path} (SHA256:{key}), and challenges do not name it"
            fix = f"host_keys= with all public keys of sshd, {path}.pub among them"
            findings.append(Finding("hostkeys-sshd", ERROR, what, REFUSED, fix))
    told = f"challenges name the host keys {', '.join(f'SHA256:{key}' for key in named)}"
    why = "trex ssh answers only over a connection with one of them."
    return [*findings, Finding("hostkeys", NOTE, told, why, "nothing, if they are sshd's")]


def named_keys(options: Options) -> list[str]:
    """Return the host keys that a challenge names; none if its login would be refused for them."""
    try:
        return host_keys(options.host_keys, [])
    except OptionError:
        return []


def keys_of_sshd(paths: list[str]) -> dict[str, str]:
    """Return the host keys in these files, private or public, that ssh-keygen(1) can read."""
    found = {}
    for path in paths:
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            ["/usr/bin/ssh-keygen", "-l", "-E", "sha256", "-f", path], capture_output=True,
            text=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        words = done.stdout.split()
        if done.returncode == 0 and len(words) > 1:
            found[path] = short(words[1].removeprefix("SHA256:"))
    return found


def _unusable() -> list[Finding]:
    findings = []
    for path in usual_files():
        try:
            read_key(path)
        except (FileUnsafe, NoRecord) as error:
            fix = hint_for(error) if isinstance(error, FileUnsafe) else f"ls -l {path}"
            what = f"challenges do not name a host key: {error}"
            findings.append(Finding("hostkeys-file", WARNING, what, REFUSED, fix))
    return findings
