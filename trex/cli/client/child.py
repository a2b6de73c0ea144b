"""A program that the client runs: what it is given, what it says, and its certain end.

posix_spawn(3) and poll(2) in one thread: `subprocess` and `threading` take 12 ms to import, and
this is for every login. A program is started first and heard later: several run at a time.
"""

from __future__ import annotations

import fcntl
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import SIGKILL, SIGPIPE

    Hear = Callable[[bytes], None]
else:  # signal.py takes 3 ms to build enumerations
    from _signal import SIGKILL, SIGPIPE

PIECE = 1 << 16  # bytes
MAX_OUTPUT = 16 << 20  # bytes that are kept: more than anybody here takes
MAX_WORDS = 4096  # bytes that are kept of what it says on standard error
PAUSE = 0.001  # seconds
LOOK_UP = 1  # seconds, after which Python sees a signal that came just before a wait
UNKNOWN = 255  # an exit status that nobody has seen
STATUS = 3  # the descriptor that the program gets for its status lines


class RunningProgram:
    """A running program; `finish` waits for its end.

    `output`, `status` and `words` are what it has written so far: on standard output, on the pipe
    that `{status}` among its arguments stands for, and the end of standard error. `returncode` is
    negative for a signal. Raises OSError if it cannot be started.
    """

    def __init__(
        self, arguments: list[str], given: bytes = b"", environment: dict[str, str] | None = None
    ) -> None:
        self._output, self._status = bytearray(), bytearray()
        self.words = b""
        self.returncode: int | None = None
        self._given = given
        self._reading: dict[int, str] = {}  # our ends of the pipes, and which stream each is
        self._writing = -1
        theirs: list[int] = []
        try:
            self._pid = self._start(arguments, environment, theirs)
        except BaseException:
            self._close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    @property
    def output(self) -> bytes:
        """What it has written on standard output: MAX_OUTPUT bytes and a little more, at most."""
        return bytes(self._output)

    @property
    def status(self) -> bytes:
        """What it has written on the pipe for status lines."""
        return bytes(self._status)

    @property
    def status_size(self) -> int:
        """How many bytes that is."""
        return len(self._status)

    def finish(
        self, seconds: float, hear: Hear | None = None,
        soon: float = 0, late: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Wait for its end, and kill it after `seconds`, or if anything is raised meanwhile.

        `hear` gets each status line as it arrives, and `late` is called once after `soon` seconds.
        """
        begun = time.monotonic()
        try:
            while self._reading or not self._has_ended():
                passed = time.monotonic() - begun
                if passed >= seconds:
                    break
                if late and passed >= soon:
                    late()
                    late = None
                left = min(seconds, soon if late else seconds) - passed
                self._listen(min(left, LOOK_UP), hear)
        finally:
            self.end()

    def end(self) -> None:
        """Kill the program if it has not ended."""
        if self.returncode is None and not self._has_ended():
            os.kill(self._pid, SIGKILL)
            self._ended(os.waitpid(self._pid, 0)[1])
        self._close()

    def _start(
        self, arguments: list[str], environment: dict[str, str] | None, theirs: list[int]
    ) -> int:
        """Start the program; return its pid, and in `theirs` what it alone has to have open."""
        ends = []
        for stream in ("output", "words", "status"):
            if stream != "status" or "{status}" in arguments:
                reading, writing = _pipe()
                self._reading[reading] = stream
                theirs.append(writing)
                ends.append(writing)
        if self._given:
            reading, self._writing = _pipe()
            theirs.append(reading)
            os.set_blocking(self._writing, False)
            source: tuple[object, ...] = (os.POSIX_SPAWN_DUP2, reading, 0)
        else:
            source = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        output, words, *status = ends
        arguments = [str(STATUS) if one == "{status}" else one for one in arguments]
        streams = [source, (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, words, 2)]
        streams += [(os.POSIX_SPAWN_DUP2, descriptor, STATUS) for descriptor in status]
        return os.posix_spawn(
            arguments[0], arguments, os.environ if environment is None else environment,
            file_actions=streams, setsigdef=[SIGPIPE],
        )  # fmt: skip

    def _listen(self, seconds: float, hear: Hear | None) -> None:
        """Wait for something to read, or to write, and do it."""
        if not self._reading:  # it has closed everything, and ends at any moment
            time.sleep(PAUSE)
            return
        poller = select.poll()
        for descriptor in self._reading:
            poller.register(descriptor, select.POLLIN)
        if self._writing >= 0:
            poller.register(self._writing, select.POLLOUT)
        for descriptor, _ in poller.poll(max(seconds, 0) * 1000 + 1):
            if descriptor == self._writing:
                self._give()
            elif descriptor in self._reading:
                self._read(descriptor, hear)

    def _give(self) -> None:
        try:
            self._given = self._given[os.write(self._writing, self._given) :]
        except BrokenPipeError:  # it wants no more
            self._given = b""
        if not self._given:
            os.close(self._writing)
            self._writing = -1

    def _read(self, descriptor: int, hear: Hear | None) -> None:
        piece = os.read(descriptor, PIECE)
        stream = self._reading[descriptor]
        if not piece:
            os.close(descriptor)
            del self._reading[descriptor]
        elif stream == "output":
            if (
                len(self._output) <= MAX_OUTPUT
            ):  # the rest is read, so that it can go on, and dropped
                self._output += piece
        elif stream == "words":
            self.words = (self.words + piece)[-MAX_WORDS:]
        else:
            told = self._status.rfind(b"\n") + 1
            self._status += piece
            for line in bytes(self._status[told:]).split(b"\n")[:-1]:
                if hear:
                    hear(line)

    def _has_ended(self) -> bool:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:  # a program that uses `trex.client` has reaped it
                self.returncode = UNKNOWN
            else:
                if pid:
                    self._ended(status)
        return self.returncode is not None

    def _ended(self, status: int) -> None:
        self.returncode = os.waitstatus_to_exitcode(status)

    def _close(self) -> None:
        for descriptor in [*self._reading, *([self._writing] if self._writing >= 0 else [])]:
            os.close(descriptor)
        self._reading, self._writing = {}, -1


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe, above the descriptors that the program gets.

    Nobody else inherits them: a program that uses `trex.client` may start others at the same time.
    """
    ends = []
    for end in os.pipe():
        if end <= STATUS:
            ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, STATUS + 1))
            os.close(end)
        else:
            ends.append(end)
    return ends[0], ends[1]
