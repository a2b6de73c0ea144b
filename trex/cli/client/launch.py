"""Becoming ssh, with Trex as its askpass program: `trex-ssh` and `trex ssh`.

It has to be quick, because it starts at each `git pull`: it imports neither click nor python-gnupg.
"""

from __future__ import annotations

import os
import sys

from trex.cli.client.connection import recording
from trex.cli.client.handover import find_beside, handover, new_handover
from trex.cli.client.openssh import ASKED, version_and_settings
from trex.cli.client.words import DIGITS, LETTERS, is_word
from trex.cli.errors import CommandError
from trex.cli.programs import find_program
from trex.cli.tell import tell_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# `trex ssh` is one attempt: a refusal, by Trex or by the server, does not count as three.
ONE_ATTEMPT = "-oNumberOfPasswordPrompts=1"
PLAIN = LETTERS | DIGITS | frozenset("_./+-")  # signs that a shell leaves alone


def main() -> None:
    """Run `trex-ssh`: scp and sftp take a path without arguments."""
    try:
        run_ssh(sys.argv[1:])
    except CommandError as error:
        tell_error(error)
        sys.exit(1)


def run_ssh(arguments: list[str]) -> NoReturn:
    """Become ssh: its exit status, its signals and its terminal are its own."""
    environment = dict(os.environ)
    ssh = find_ssh(environment)
    if ASKED in environment:
        environment[ASKED] = ssh
        os.execve(ssh, [ssh, *arguments], environment)  # noqa: S606 (no shell is the point)
    name_terminal(environment)
    told = version_and_settings(ssh, arguments)
    new_handover(ssh, arguments, environment, told).put_into(environment)
    options = [ONE_ATTEMPT, *recording(*told)]
    os.execve(ssh, [_name(), *options, *arguments], environment)  # noqa: S606 (no shell is the point)


def find_ssh(environment: dict[str, str]) -> str:
    """Return the first ssh on PATH that is not Trex. Raises CommandError if there is none.

    Trex may be installed as `ssh`: as a link, or as a script that becomes it. If this process has
    already become that `ssh`, the next one on PATH is the right one.
    """
    before = handover(environment)
    tried = environment.get(ASKED) or (before.ssh if before.pid == os.getpid() else "")
    ours = {os.path.realpath(sys.argv[0])}
    found = [
        program
        for directory in environment.get("PATH", os.defpath).split(os.pathsep)
        if (program := find_program("ssh", directory))
    ]
    found = found[found.index(tried) + 1 :] if tried in found else found
    for program in found:
        real = os.path.realpath(program)
        if real not in ours and os.path.basename(real) != "trex-ssh":
            return program
    raise CommandError("there is no ssh on PATH", "install OpenSSH (Debian: openssh-client)")


def _name() -> str:
    """Return the name by which ssh starts itself again for a jump host: `trex-ssh` if possible."""
    try:
        program = find_beside("trex-ssh")
    except CommandError:
        return "ssh"
    return program if is_word(program, PLAIN) else "ssh"  # ssh passes it to a shell


def name_terminal(environment: dict[str, str] | os._Environ[str]) -> None:
    """Set GPG_TTY if the user has not: the agent's pinentry may need the terminal."""
    for descriptor in (0, 1, 2):
        if "GPG_TTY" not in environment and os.isatty(descriptor):
            environment["GPG_TTY"] = os.ttyname(descriptor)
