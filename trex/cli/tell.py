"""Messages of the programs that ssh starts, or that become ssh, on standard error.

They have the same form as the command's (`trex.cli.terminal`), without click, which is slow to
import: these programs start at each login.
"""

from __future__ import annotations

import sys

from trex.cli.errors import CommandError
from trex.errors import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.errors import TrexError


def tell(text: str) -> None:
    """Print a message."""
    sys.stderr.write(f"trex: {printable(text)}\n")


def tell_error(error: TrexError) -> None:
    """Print an error, and its hint."""
    tell(f"error: {one_line(str(error))}")
    if isinstance(error, CommandError) and error.hint:
        tell(f"hint: {one_line(error.hint)}")


def printable(text: str) -> str:
    """Return text with everything escaped that could control a terminal, except line ends and tabs.

    The lines must be Trex's own: text from elsewhere goes through `one_line` before it is put in.
    """
    lines = ("\t".join(map(one_line, line.split("\t"))) for line in text.split("\n"))
    return "\n".join(lines)
