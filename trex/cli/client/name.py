"""`trex names`, `trex name` and `trex unname`: what hosts call themselves."""

from __future__ import annotations

import os
import sys

import click

from trex.cli.client import completing
from trex.cli.client.hosts import parse_host
from trex.cli.client.judge import ssh_name
from trex.cli.client.launch import find_ssh
from trex.cli.client.names import Names, is_name
from trex.cli.client.target import configured_target
from trex.cli.errors import CommandError
from trex.cli.terminal import answer, say
from trex.openpgp.prompt import encoded

NAME_EXAMPLES = """\b
Examples:
  trex name alice@web7.example.org web7
  trex name --yes web7.example.org web7
  trex name alice@192.0.2.7 alice@web7
"""
NAMES_EXAMPLES = """\b
Examples:
  trex names
"""
UNNAME_EXAMPLES = """\b
Examples:
  trex unname alice@web7.example.org
  trex unname alice@web7.example.org alice@web7
"""


@click.command(epilog=NAME_EXAMPLES, short_help="Say which name a host gives itself.")
@click.argument("host", shell_complete=completing.hosts)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def name(host: str, name: str, *, yes: bool) -> None:
    """Confirm that HOST calls itself NAME, as `trex ssh` asks once for each host.

    HOST is what you give to ssh, with a user if need be; your ssh configuration counts. NAME is the
    name in the challenge: `web7`, or `alice@web7` if the user has another name there.
    """
    target = configured_target(find_ssh(dict(os.environ)), host)
    user, at, server = name.rpartition("@")
    theirs = f"{encoded(user if at else target.user)}@{encoded(parse_host(server))}"
    ours, stored = ssh_name(target), Names()
    if not (is_name(ours) and is_name(theirs)):
        raise CommandError(f"{ours} and {theirs} are not names of a user and a host")
    if (ours, theirs) in stored.confirmed:
        say(f"{ours} was known as {theirs} already.")
        return
    if not yes:
        _confirm(ours, theirs)
    stored.confirm(ours, theirs)
    say(f"{ours} is known as {theirs}.")


@click.command(epilog=NAMES_EXAMPLES, short_help="Print which host gives itself which name.")
def names() -> None:
    """Print the names, one on each line: as ssh knows the host, and as its challenges name it.

    They are kept in $XDG_CONFIG_HOME/trex/names, or ~/.config/trex/names.
    """
    confirmed = sorted(Names().confirmed)
    width = max((len(ours) for ours, _ in confirmed), default=0)
    for ours, theirs in confirmed:
        answer(f"{ours:{width}} {theirs}")
    if not confirmed:
        say("No name was confirmed: trex name HOST NAME")


@click.command(epilog=UNNAME_EXAMPLES, short_help="Forget which name a host gives itself.")
@click.argument("host", shell_complete=completing.named)
@click.argument("name", required=False)
def unname(host: str, name: str | None) -> None:
    """Forget the names of HOST, or only NAME: both as `trex names` prints them."""
    for ours, theirs in Names().forget(host, name):
        say(f"{ours} is no longer known as {theirs}.")


def _confirm(ours: str, theirs: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError("there is no terminal to confirm at", "trex name --yes HOST NAME")
    say(
        f"Challenges that name {theirs} will be answered while ssh logs in as {ours}.\n"
        "If these are not the same, one of the two can pass on challenges of the other."
    )
    if not click.confirm("Are they the same?", err=True):
        say("Nothing was changed.")
        raise click.Abort
