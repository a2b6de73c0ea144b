"""What a program of `trex.system.servant` does: read what it is told, work, report one line."""

import json
import os

from trex.errors import TrexError
from trex.system.child import STATUS_FD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def run(work: "Callable[[dict[str, Any]], str]") -> None:
    """Do the work with what standard input tells, and write what it returns, or why it failed."""
    with open(0, "rb") as stream:
        told = json.load(stream)
    try:
        line = work(told)
    except TrexError as error:
        line = f"failed {error}"
    except BaseException as error:
        # No message of an error that nobody has foreseen: it may hold a URL with a password.
        line = f"failed with an unforeseen {type(error).__name__}"
    printable = "".join(c if c.isprintable() else "?" for c in line)
    os.write(STATUS_FD, f"{printable}\n".encode())
