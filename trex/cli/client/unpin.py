"""`trex unpin`: forget which key signs for a host."""

from __future__ import annotations

import click

from trex.cli.client.hosts import parse_host
from trex.cli.client.pins import Pins
from trex.cli.terminal import say

EXAMPLES = """\b
Examples:
  trex unpin server.example.org
"""


@click.command(epilog=EXAMPLES, short_help="Forget which key signs for a host.")
@click.argument("host")
def command(host: str) -> None:
    """Forget which key signs the challenges of HOST: any key may sign then, or none."""
    name, pins = parse_host(host), Pins()
    before = pins.by_host.get(name, "")
    pins.remove(name)
    say(f"{name} is no longer pinned. It was: {before}")
