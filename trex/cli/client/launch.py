"""Becoming ssh, with Trex as what ssh asks: `trex-ssh`, and what `trex ssh` does.

It is quick, because it starts for each `git pull`: click and python-gnupg stay unloaded.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import NoReturn

from trex.cli.client.handover import find_beside, handover, new_handover
from trex.cli.errors import ClientError
from trex.cli.tell import tell_error

# `trex ssh` is one attempt: a refusal, here or there, does not count three times at the server.
ONE_ATTEMPT = "-oNumberOfPasswordPrompts=1"
PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./+-]+")  # ssh gives it to a shell


def main() -> None:
    """Be `trex-ssh`: a path without arguments, as scp and sftp want it."""
    try:
        run_ssh(sys.argv[1:])
    except ClientError as error:
        tell_error(error)
        sys.exit(1)


def run_ssh(arguments: list[str]) -> NoReturn:
    """Become ssh: its exit status, its signals and its terminal are its own."""
    environment = dict(os.environ)
    ssh = find_ssh(environment)
    name_terminal(environment)
    new_handover(ssh, arguments, environment).put_into(environment)
    os.execve(ssh, [_name(), ONE_ATTEMPT, *arguments], environment)  # noqa: S606 (no shell is the point)


def find_ssh(environment: dict[str, str]) -> str:
    """Return the first ssh on PATH that is not Trex. Raises ClientError if there is none.

    Trex may be called `ssh` there: by a link, or by a script that becomes it. Then this process has
    become that `ssh` before, and the next one is meant.
    """
    before = handover(environment)
    tried = before.ssh if before.pid == os.getpid() else ""
    ours = {os.path.realpath(sys.argv[0])}
    found = [
        os.path.abspath(program)
        for directory in environment.get("PATH", os.defpath).split(os.pathsep)
        if (program := shutil.which("ssh", path=directory or os.curdir))
    ]
    found = found[found.index(tried) + 1 :] if tried in found else found
    for program in found:
        real = os.path.realpath(program)
        if real not in ours and os.path.basename(real) != "trex-ssh":
            return program
    raise ClientError("there is no ssh on PATH", "install OpenSSH (Debian: openssh-client)")


def _name() -> str:
    """Return by what name ssh starts itself again for a jump host: `trex-ssh` if it can be had."""
    try:
        program = find_beside("trex-ssh")
    except ClientError:
        return "ssh"
    return program if PLAIN_PATH.fullmatch(program) else "ssh"


def name_terminal(environment: dict[str, str] | os._Environ[str]) -> None:
    """Set GPG_TTY where the user has not: the agent's pinentry may need the terminal."""
    for descriptor in (0, 1, 2):
        if "GPG_TTY" not in environment and os.isatty(descriptor):
            environment["GPG_TTY"] = os.ttyname(descriptor)
