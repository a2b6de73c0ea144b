"""What a program of this package does: it reads a request, works, and reports one line.

`trex.system.servant` runs it isolated and without site-packages: it can import this package, the
standard library, and Debian's packages.
"""

import json
import os

from trex.errors import TrexError
from trex.system.child import STATUS_FD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def run(work: "Callable[[dict[str, Any]], str]") -> None:
    """Read the request from standard input, do the work, and report its result or its error."""
    with open(0, "rb") as stream:
        told = json.load(stream)
    try:
        line = work(told)
    except TrexError as error:
        line = f"failed {error}"
    except BaseException as error:
        # Not the message of an unforeseen error: it may contain a URL with a password.
        line = f"failed with an unforeseen {type(error).__name__}"
    printable = "".join(c if c.isprintable() else "?" for c in line)
    os.write(STATUS_FD, f"{printable}\n".encode())
