"""A program of this package that does a part of the work in a fresh interpreter without root.

A fork alone would carry the caller's memory to whoever talks to strangers, and pam_python holds its
lock while a prompt is open. What the program is to know comes through a pipe, never as an argument.
"""

import os
import select

from trex.child import Child, end_with_parent, milliseconds_until, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.child import Leash
    from trex.privilege import Account

PYTHON = "/usr/bin/python3"
# Isolated, without site-packages that root's group `staff` may write, and nothing written.
FLAGS = ["-I", "-S", "-B"]
MAX_DESCRIPTORS = 256
MAX_MEMORY = 256 << 20
MAX_REPORT = 4096
PR_SET_NO_NEW_PRIVS = 38


def start(
    child: Child, program: str, account: "Account", places: "dict[int, int]", file_size: int = 0
) -> None:
    """Run `program`, a path in this package, as `account`; see `Child.start` for `places`.

    `file_size` is how large a file it may write, in bytes. Raises NotStarted.
    """
    here = os.path.dirname(os.path.realpath(__file__))
    command = [PYTHON, *FLAGS, os.path.join(here, program)]
    child.start(command, account, _confined(file_size), places)


def first_line(child: Child, deadline: float) -> str:
    """Return the first line that the program reports, "" if it ended without one.

    Raises TimeoutError at `deadline` (monotonic), and NotStarted.
    """
    poll = select.poll()
    poll.register(child.status, select.POLLIN)
    text = b""
    while b"\n" not in text and len(text) < MAX_REPORT:
        if not poll.poll(milliseconds_until(deadline)):
            raise TimeoutError
        more = os.read(child.status, MAX_REPORT)
        if not more:
            break
        text += more
    child.check_started(text)
    return text.partition(b"\n")[0].decode("utf-8", "replace")


def _confined(file_size: int) -> "Leash":
    def leash(lifeline: int) -> None:
        """Bind the process to the login's life, and take from it what it does not need."""
        end_with_parent(lifeline)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        import resource  # here, in the child

        for limit, most in (
            (resource.RLIMIT_CORE, 0),  # no secret in a core file
            (resource.RLIMIT_FSIZE, file_size),
            (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
            (resource.RLIMIT_DATA, MAX_MEMORY),
        ):
            resource.setrlimit(limit, (most, most))

    return leash
