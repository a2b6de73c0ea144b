"""What the programs that ssh starts, or that become ssh, say to people: on standard error.

They say it as the command does (`trex.cli.terminal`), without click: they start for each login.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trex.errors import TrexError


def tell(text: str) -> None:
    """Say one thing."""
    sys.stderr.write(f"trex: {printable(text)}\n")


def tell_error(error: TrexError) -> None:
    """Say what went wrong, and the next thing to try."""
    tell(f"error: {error}")
    hint = getattr(error, "hint", "")
    if hint:
        tell(f"hint: {hint}")


def printable(text: str) -> str:
    """Return text with all but line ends and tabs escaped that could command a terminal."""
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else
        sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )  # fmt: skip
