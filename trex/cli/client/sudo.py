"""`trex sudo`: the system's sudo, with Trex answering Trex's challenges."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from trex.cli.client.handover import find_beside
from trex.cli.client.launch import name_terminal
from trex.cli.client.passing import PassesAll
from trex.cli.errors import CommandError
from trex.cli.programs import find_program

if TYPE_CHECKING:
    from typing import NoReturn

ASKPASS, PROGRAM = "SUDO_ASKPASS", "trex-sudo-askpass"
EXAMPLES = """\b
Examples:
  trex sudo apt upgrade
  trex sudo -u postgres psql
"""


@click.command(
    epilog=EXAMPLES,
    short_help="Run sudo, and answer its challenge.",
    cls=PassesAll,
    options_metavar="",
    context_settings={"help_option_names": ["--help"]},
)
@click.argument("arguments", metavar="[SUDO ARGUMENTS]...", nargs=-1)
def command(arguments: tuple[str, ...]) -> None:
    """Run sudo -A, and answer the challenge through gpg-agent.

    A challenge is answered only if it names the service sudo, you, and this host by its host keys.
    One run is one attempt and answers one challenge. On a server the agent may be one that you
    forward; docs/tools.md says how, and what that risks. All other questions reach you as before.
    """
    _run_sudo(list(arguments))


def _run_sudo(arguments: list[str]) -> NoReturn:
    """Become sudo: its exit status, its signals and its terminal are its own."""
    sudo = find_program("sudo")
    if not sudo:
        raise CommandError("there is no sudo on PATH", "install sudo")
    environment = {**os.environ, ASKPASS: find_beside(PROGRAM)}
    name_terminal(environment)
    os.execve(sudo, ["sudo", "-A", *arguments], environment)  # noqa: S606 (no shell is the point)
