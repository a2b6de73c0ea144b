"""The host keys that challenges name, and whether sshd has others."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from trex.cli.delegate import hint_for
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.remedy import by_hand, with_arguments, without_argument
from trex.errors import OWNER, WRITABLE, FileUnsafe, NoRecord, OptionError
from trex.openpgp.hostkeys import (
    BEGIN,
    DIRECTORY,
    END,
    NONE,
    host_keys,
    key_named,
    read_key,
    short,
    usual_files,
)

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule
    from trex.login.options import Options

SECONDS = 20
OPEN = "A server that a user takes for this one can pass its challenges on, and get in."
REFUSED = "trex ssh refuses to answer over a connection with this key."


def check_host_keys(
    rule: Rule, options: Options, of_sshd: dict[str, str], *, is_remote: bool
) -> list[Finding]:
    """Return which host keys the challenges of a line name, and what is wrong with them.

    `of_sshd` has the host keys of sshd by their paths, as `keys_of_sshd` returns them.
    Where nobody comes over the network (`is_remote`), there may be none to name.
    """
    chosen = options.host_keys
    if chosen == NONE:
        unless = "unless something else than sshd ends the connection"
        fix = f"{without_argument(rule, 'host_keys')}  # {unless}"
        return [Finding("hostkeys-none", NOTE, "challenges name no host keys", OPEN, fix)]
    try:
        named = host_keys(chosen, [])
    except OptionError as error:
        fix = f"{without_argument(rule, 'host_keys')}  # then it is sshd's own; or correct the path"
        return [Finding("hostkeys-file", ERROR, str(error), "Every login is refused.", fix)]
    if not named:
        fix = "; ".join(map(_publish, of_sshd)) or by_hand("name sshd's public keys: host_keys=")
        what = "challenges name no host keys"
        if not is_remote:
            return _unusable()
        return [*_unusable(), Finding("hostkeys-none", WARNING, what, OPEN, fix)]
    findings = [] if chosen else _unusable()
    for path, key in of_sshd.items():
        if key not in named:
            what = f"sshd has the host key {path} (SHA256:{key}), and challenges do not name it"
            fix = _name_all(rule, options, of_sshd, named)
            findings.append(Finding("hostkeys-sshd", ERROR, what, REFUSED, fix))
    told = f"challenges name the host keys {', '.join(f'SHA256:{key}' for key in named)}"
    why = "trex ssh answers only over a connection with one of them."
    return [
        *findings,
        Finding("hostkeys", NOTE, told, why, by_hand("nothing to do, if they are sshd's")),
    ]


def named_keys(options: Options) -> list[str]:
    """Return the host keys that a challenge names; none if its login would be refused for them."""
    try:
        return host_keys(options.host_keys, [])
    except OptionError:
        return []


def keys_of_sshd(paths: list[str]) -> dict[str, str]:
    """Return the host keys in these files, private or public, that ssh-keygen(1) can read.

    For a private one it is asked for the public half (-y): of the fingerprint (-l) it reads what
    lies beside it as .pub, which may be another key's.
    """
    found = {}
    for path in paths:
        if words := _keygen("-y", "-P", "", "-f", path):
            found[path] = key_named(*(word.encode() for word in words[:2]))
        elif len(words := _keygen("-l", "-E", "sha256", "-f", path)) > 1:
            found[path] = short(words[1].removeprefix("SHA256:"))
    return found


def _keygen(*arguments: str) -> list[str]:
    """Return the words that ssh-keygen prints, [] if it fails."""
    done = subprocess.run(  # noqa: S603 (an absolute path and a list)
        ["/usr/bin/ssh-keygen", *arguments], capture_output=True,
        text=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout.split() if done.returncode == 0 else []


def _public(path: str) -> str:
    """Return where the public half of a host key is; HostKey may name that itself."""
    return f"{path.removesuffix('.pub')}.pub"


def _publish(path: str) -> str:
    """Return the command that writes the public half of a host key beside it."""
    private, public = shlex.quote(path.removesuffix(".pub")), shlex.quote(_public(path))
    return f"ssh-keygen -y -f {private} | install -m 0644 /dev/stdin {public}"


def _name_all(rule: Rule, options: Options, of_sshd: dict[str, str], named: list[str]) -> str:
    """Return the commands after which challenges name all host keys of sshd."""
    missing = [path for path, key in of_sshd.items() if key not in named]
    commands = [_publish(path) for path in missing if _key_in(_public(path)) != of_sshd[path]]
    usual = [path for path in missing if _is_usual(_public(path))]
    if options.host_keys or len(usual) < len(missing):
        kept = options.host_keys.split(",") if options.host_keys else []
        files = dict.fromkeys([*kept, *map(_public, missing if kept else of_sshd)])
        commands.append(with_arguments(rule, f"host_keys={','.join(files)}"))
    return "; ".join(commands)


def _is_usual(public: str) -> bool:
    directory, name = os.path.split(public)
    return directory == DIRECTORY and name.startswith(BEGIN) and name.endswith(END)


def _key_in(path: str) -> str:
    try:
        return read_key(path)
    except (FileUnsafe, NoRecord):
        return ""


def _unusable() -> list[Finding]:
    findings = []
    for path in usual_files():
        try:
            read_key(path)
        except (FileUnsafe, NoRecord) as error:
            fix = (
                _publish(path)
                if os.path.exists(path.removesuffix(".pub"))
                else f"rm {shlex.quote(path)}"
            )
            if isinstance(error, FileUnsafe) and error.kind in (OWNER, WRITABLE):
                fix = hint_for(error)
            what = f"challenges do not name a host key: {error}"
            findings.append(Finding("hostkeys-file", WARNING, what, REFUSED, fix))
    return findings
