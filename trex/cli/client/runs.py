"""Each run of ssh or sudo gets one challenge answered: an empty file marks each that has shown one.

A server can ask as often as it likes in one login, and ssh and sudo ask three times. At the second
challenge ssh is ended: it could only be another failed attempt, or a challenge of another server.

Several machines or containers may share the home. None of them deletes the marks of another: each
sees only its own processes, so an ssh that runs elsewhere would look as if it had ended.
"""

from __future__ import annotations

import os

from trex.cli.client.processes import forget_ended, process_name, program_name
from trex.cli.client.store import make_directory, own_directory
from trex.cli.errors import AskedAgain, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIGTERM
else:  # signal.py takes 3 ms to build enumerations
    from _signal import SIGTERM

SSH, SUDO = "ssh", "sudo"
# What is said of a second challenge: the run, and how to begin another.
RUNS = {SSH: ("this login", "log in again"), SUDO: ("this sudo", "run sudo again")}


def begin(program: str) -> None:
    """Mark that the SSH or SUDO that started this process shows a challenge now.

    Raises AskedAgain if it has shown one before, answered or not, or StoreError.
    """
    directory = os.path.join(own_directory("XDG_STATE_HOME", ".local/state"), "runs")
    name = process_name(os.getppid())
    try:
        make_directory(directory)
        forget_ended(directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(os.path.join(directory, name), flags, 0o600))
    except FileExistsError:
        run, again = RUNS[program]
        raise AskedAgain(
            f"{run} has shown a challenge before, and only one is answered", again
        ) from None
    except OSError as error:
        raise StoreError(f"{directory}: cannot be written: {error.strerror}") from None


def end_ssh() -> None:
    """End the ssh that asks. If the parent process is not an ssh, such as a shell, leave it."""
    ssh = os.getppid()
    if program_name(ssh) == SSH:
        try:
            os.kill(ssh, SIGTERM)
        except OSError:
            return
