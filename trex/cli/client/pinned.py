"""`trex pins`: which keys are pinned."""

from __future__ import annotations

import click

from trex.cli.client.pins import Pins
from trex.cli.terminal import answer, say

EXAMPLES = """\b
Examples:
  trex pins
"""


@click.command(epilog=EXAMPLES, short_help="Print which key signs for which host.")
def command() -> None:
    """Print the pins, one on each line: host and fingerprint.

    They are kept in $XDG_CONFIG_HOME/trex/pins, or ~/.config/trex/pins.
    """
    pins = Pins()
    width = max(map(len, pins.by_host), default=0)
    for host, fingerprint in pins.by_host.items():
        answer(f"{host:{width}} {fingerprint}")
    if not pins.by_host:
        say("No key is pinned: trex pin HOST")
