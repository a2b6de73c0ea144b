"""What a program finds that `trex.system.child` started, and what one of this package does then.

It reads a request, works, and reports one line. `trex.system.servant` runs it isolated and without
site-packages: it can import this package, the standard library, and Debian's packages.
"""

import os

from trex.errors import TrexError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# The one set of descriptor numbers: other modules count on from FREE_FD.
STDIN_FD, STDOUT_FD, STDERR_FD = 0, 1, 2
STATUS_FD = 3  # a pipe for its status lines, or its report
LIFELINE_FD = 4  # a pipe that the parent keeps open as long as it lives
FREE_FD = 5  # the first of those that are not the same for all programs
MAX_REPORT = 4096  # bytes


def run(work: "Callable[[dict[str, Any]], str]") -> None:
    """Read the request from standard input, do the work, and report its result or its error."""
    import json  # not for the page, nor for a login

    with open(STDIN_FD, "rb") as stream:
        told = json.load(stream)
    try:
        line = work(told)
    except TrexError as error:
        line = f"failed {error}"
    except BaseException as error:
        # Not the message of an unforeseen error: it may contain a URL with a password.
        line = f"failed with an unforeseen {type(error).__name__}"
    report(line)


def report(line: str) -> None:
    """Report one line to whoever started this program, once."""
    os.write(STATUS_FD, f"{one_line(line, MAX_REPORT - 1)}\n".encode())
    os.close(STATUS_FD)
