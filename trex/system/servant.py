"""Running a program of this package in a new interpreter without root's rights.

A fork alone would expose the caller's memory to a process that talks to strangers, and pam_python
holds its lock while a prompt is open. The request comes through a pipe, never as an argument.
"""

import os
import select
from time import monotonic

from trex.errors import ProgramFailed
from trex.system.child import Child, end_with_parent, milliseconds_until, write_whole
from trex.system.prctl import SET_NO_NEW_PRIVS, prctl
from trex.system.program import MAX_REPORT, STDIN_FD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from trex.system.child import Leash
    from trex.system.privilege import Account

PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
PYTHON = "/usr/bin/python3"
# Isolated, without site-packages, which the group `staff` can write, and without writing .pyc.
FLAGS = ["-I", "-S", "-B"]
MAX_DESCRIPTORS = 256
MAX_MEMORY = 256 << 20
SECONDS = 10.0  # for a program that gets one request and reports one result
SPARE_SECONDS = 0.5  # in which it can still report that it waited in vain
MAX_STATE = 256 << 20  # bytes that it may write; a counted message takes less than 100


def start(
    child: Child, program: str, account: "Account", inherited: dict[int, int], file_size: int = 0
) -> None:
    """Run the module `program` as `account` (`launch.py`); see `Child.start` for `inherited`.

    `file_size` limits the files that it writes, in bytes. Raises NotStarted.
    """
    command = [PYTHON, *FLAGS, os.path.join(PACKAGE, "system/launch.py"), program]
    child.start(command, account, _confined(file_size), inherited)


def have_done(account: "Account", program: str, told: "dict[str, Any]") -> tuple[str, str]:
    """Run `program` with `told` and a `deadline`; return its report's first word, and the rest.

    It all goes through a pipe, as JSON. Raises ProgramFailed if it reports nothing within SECONDS.
    """
    import json  # not for the page

    deadline = monotonic() + SECONDS
    child = Child()
    try:
        reading, writing = child.pipe()
        start(child, program, account, {STDIN_FD: reading}, MAX_STATE)
        text = json.dumps({**told, "deadline": deadline - SPARE_SECONDS}).encode()
        # `reading` stays open here: otherwise a program that has ended causes SIGPIPE.
        if not write_whole(writing, text):
            raise ProgramFailed(f"{program} does not read its input")
        child.close(writing)
        word, _, rest = first_line(child, deadline).partition(" ")
    except TimeoutError:
        raise ProgramFailed(f"{program} did not finish in {SECONDS:.0f} seconds") from None
    finally:
        child.end()
    if not word:
        raise ProgramFailed(f"{program} ended without an answer")
    return word, rest


def first_line(child: Child, deadline: float) -> str:
    """Return the first line that the program reports, "" if it ended without one.

    Raises TimeoutError at `deadline` (monotonic), and NotStarted.
    """
    poll = select.poll()
    poll.register(child.status, select.POLLIN)
    poll.register(child.pidfd, select.POLLIN)
    os.set_blocking(child.status, False)
    text = b""
    while b"\n" not in text and len(text) < MAX_REPORT:
        if not poll.poll(milliseconds_until(deadline)):
            raise TimeoutError
        try:
            text += os.read(child.status, MAX_REPORT)
        except BlockingIOError:  # it has ended, and reported nothing more
            break
    child.check_started(text)
    return text.partition(b"\n")[0].decode("utf-8", "replace")


def _confined(file_size: int) -> "Leash":
    def leash(lifeline: int) -> None:
        """End the process with the login, and limit it to what it needs."""
        end_with_parent(lifeline)
        prctl(SET_NO_NEW_PRIVS, 1)
        import resource  # here, in the child

        for limit, most in (
            (resource.RLIMIT_CORE, 0),  # no secret in a core file
            (resource.RLIMIT_FSIZE, file_size),
            (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
            (resource.RLIMIT_DATA, MAX_MEMORY),
        ):
            _, hard = resource.getrlimit(limit)
            least = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(limit, (least, least))

    return leash
