"""`trex sudo`: the system's sudo, with Trex answering Trex's challenges."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from trex.cli.client.handover import find_beside
from trex.cli.client.launch import name_terminal
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


class _AllToSudo(click.Command):
    """Everything after `trex sudo` is sudo's, except --help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["--help"]:
            return super().parse_args(ctx, args)
        ctx.params = {"arguments": tuple(args)}
        return []


@click.command(
    epilog=EXAMPLES,
    short_help="Run sudo, and answer its challenge.",
    cls=_AllToSudo,
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
