"""How a program of this package starts and ends: it reads a request and reports one line.

`trex.system.servant` runs it isolated and without site-packages: it can import this package, the
standard library, and Debian's packages.
"""

import json
import os
import sys

from trex.errors import TrexError
from trex.system.child import STATUS_FD
from trex.system.packages import DEBIAN_PACKAGES
from trex.system.prctl import SET_DUMPABLE, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def run(work: "Callable[[dict[str, Any]], str]") -> None:
    """Read the request from standard input, do the work, and report its result or its error."""
    prctl(SET_DUMPABLE, 0)  # other processes of this account cannot read this one's memory
    sys.path.append(DEBIAN_PACKAGES)
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
