"""How a program of this package begins and ends: told by `trex.system.servant`, one line back.

It runs isolated and without site-packages: what it imports is the package that it belongs to, the
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
    """Do the work with what standard input tells, and write what it returns, or why it failed."""
    prctl(SET_DUMPABLE, 0)  # other processes of this account cannot look into this one
    sys.path.append(DEBIAN_PACKAGES)
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
