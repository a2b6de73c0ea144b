"""What the programs that ssh starts, or that become ssh, say to people: on standard error.

They say it as the command does (`trex.cli.terminal`), without click: they start for each login.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from trex.login.audit import one_line

if TYPE_CHECKING:
    from trex.errors import TrexError


def tell(text: str) -> None:
    """Say one thing."""
    sys.stderr.write(f"trex: {printable(text)}\n")


def tell_error(error: TrexError) -> None:
    """Say what went wrong, and the next thing to try."""
    tell(f"error: {one_line(str(error))}")
    hint = getattr(error, "hint", "")
    if hint:
        tell(f"hint: {one_line(hint)}")


def printable(text: str) -> str:
    """Return text with all but line ends and tabs escaped that could command a terminal.

    For text whose lines are Trex's own: what is another's within one goes through `one_line` first.
    """
    lines = ("\t".join(map(one_line, line.split("\t"))) for line in text.split("\n"))
    return "\n".join(lines)
