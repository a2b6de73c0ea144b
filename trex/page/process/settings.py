"""What the login sends to the page's process: settings first, the message later."""

import os
import time

from trex.system.program import FREE_FD, STDIN_FD

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # see trex.system.child

# The descriptors that `trex.page.start` passes, beside those that every program has.
LISTENER_FD, KEY_FD, CERTIFICATE_FD = range(FREE_FD, FREE_FD + 3)
MEMBERS = ("login", "server", "service", "from")  # what an authenticated page shows, in order


class Settings:
    """One page's settings."""

    def __init__(self, lines: list[str]) -> None:
        """Read lines, each a name and a value. Raises KeyError or ValueError for others."""
        values = dict(line.split(" ", 1) for line in lines)
        self.deadline = float(values["deadline"])  # on CLOCK_BOOTTIME, in seconds
        self.host = values["host"]  # as in the URL
        self.tls = values.get("tls", "")  # "files", "made" or "" for plain HTTP
        self.user_name, _, self.password = values.get("credentials", "").partition(" ")
        self.told = {name: values[name] for name in MEMBERS if name in values}

    @property
    def seconds_left(self) -> float:
        """Return for how many seconds the challenge is still valid."""
        return self.deadline - time.clock_gettime(time.CLOCK_BOOTTIME)

    def until(self, form: str) -> str:
        """Return the deadline in UTC, in a format of strftime(3)."""
        return time.strftime(form, time.gmtime(time.time() + self.seconds_left))

    def end_at_deadline(self) -> None:
        """Let the kernel end this process a second after the deadline, whatever it is doing."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max(0.001, self.seconds_left + 1))


def settings_from_pipe() -> Settings:
    """Read from standard input up to an empty line."""
    lines = []
    while line := _read_line():
        lines.append(line)
    return Settings(lines)


def message_from_pipe() -> str:
    """Read the armored message from standard input, to its end."""
    with open(STDIN_FD, encoding="ascii") as stream:
        return stream.read()


def _read_line() -> str:
    """Read a line and nothing beyond it: the message follows later."""
    line = b""
    while (character := os.read(STDIN_FD, 1)) not in (b"\n", b""):
        line += character
    return line.decode("utf-8", "replace")
