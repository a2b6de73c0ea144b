"""A program that is told what to do, reads and writes: through pipes, and with a deadline."""

import os
import select
from time import monotonic

from trex.errors import NotStarted, ProgramFailed
from trex.system.child import Child, milliseconds_until, write_whole
from trex.system.program import FREE_FD, STDIN_FD, STDOUT_FD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trex.errors import TrexError
    from trex.system.child import Leash
    from trex.system.privilege import Account

INSTRUCTIONS_FD = FREE_FD  # a pipe for what is known only after the program was started
KEYS_FD = FREE_FD + 1  # the first of the pipes with one public key each
MAX_OUTPUT = 256 * 1024  # sixteen recipients and a signature need less than 20 kB
UNDISTURBED_MS = 50
SIGSYS = 31  # signal(7), on x86_64 and aarch64
DENIED = (-SIGSYS, 128 + SIGSYS)  # the latter from a supervisor


class Finished:
    """A program's exit status (-N for signal N, None if unknown), and what it wrote."""

    __slots__ = ("code", "output", "status")

    def __init__(self, code: int | None, output: bytes, status: bytes) -> None:
        self.code = code
        self.output = output
        self.status = status


class Filter(Child):
    """A program that is told what to do, reads, writes, and ends.

    A subclass says what the program is called, and which errors its failures are.
    """

    name = "the program"
    failed: "type[TrexError]" = ProgramFailed
    timed_out: "type[TrexError]" = ProgramFailed

    def start_filter(
        self,
        arguments: list[str],
        account: "Account",
        leash: "Leash",
        keys: int = 0,
        separate: "Callable[[], None] | None" = None,
    ) -> None:
        """Start the program with pipes for all that it reads and writes; see `start`.

        `keys` is how many public keys it can be given, each in a pipe of its own.
        """
        step = "pipe"
        try:
            child_in, self._stdin = self.pipe()
            self._output, child_out = self.pipe()
            told = [self.pipe() for _ in range(1 + keys)]
            step = f"give a pipe to {account.name} (CAP_CHOWN)"
            for reading, _ in told:  # it is opened by its name in /proc, which checks the owner
                os.fchown(reading, account.uid, -1)
        except OSError as error:
            raise NotStarted(f"{arguments[0]}: {step}: {error.strerror}") from None
        (instructions, self._instructions), *key_pipes = told
        self._keys = [writing for _, writing in key_pipes]
        inherited = {STDIN_FD: child_in, STDOUT_FD: child_out, INSTRUCTIONS_FD: instructions}
        inherited |= {KEYS_FD + number: reading for number, (reading, _) in enumerate(key_pipes)}
        self.start(arguments, account, leash, inherited, separate)

    @property
    def room(self) -> int:
        """How many public keys it can be given."""
        return len(self._keys)

    def feed(self, stdin: bytes, instructions: bytes, keys: "Sequence[bytes]" = ()) -> None:
        """Write all of them whole, the instructions after the keys, and close them.

        This process still holds the reading ends too: a child that has ended causes no SIGPIPE.
        Raises `failed` if they do not fit into a pipe that nobody reads.
        """
        texts = [*zip(self._keys, keys, strict=False), (self._instructions, instructions),
                 (self._stdin, stdin)]  # fmt: skip
        for descriptor, text in texts:
            if not write_whole(descriptor, text):
                raise self.failed(f"{self.name} does not read its input")
            self.close(descriptor)

    def finish(
        self, deadline: float, most: int = MAX_OUTPUT, kept: "Callable[[bytes], bytes]" = bytes
    ) -> Finished:
        """Read what the program writes until it ends, at the latest at `deadline` (monotonic).

        It may write `most` bytes. Each piece of its output goes through `kept`, and what that
        returns is counted and kept.

        Raises NotStarted, `timed_out` or `failed`.
        """
        try:
            output, status = self._collect(deadline, most, kept)
        except TimeoutError:
            self.end()
            reason = "did not finish in time and was ended"
            if self.lingers:
                reason = "cannot be ended: the file system of its files does not answer"
            raise self.timed_out(f"{self.name} {reason}") from None
        code = self.end()
        self.check_started(status)
        if code in DENIED:
            raise self.failed(f"{self.name} made a system call that is denied to it, and was ended")
        return Finished(code, output, status)

    def _collect(self, deadline: float, most: int, kept: "Callable[[bytes], bytes]") -> list[bytes]:
        """Read both pipes until the program ends: a daemon it started may keep them open longer.

        Raises TimeoutError, or `failed` for more than `most` bytes.
        """
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        # As a rule the output fits into its pipe, and the program ends soon: wake only once.
        poll.poll(min(UNDISTURBED_MS, milliseconds_until(deadline)))
        for source in (self._output, self.status):
            os.set_blocking(source, False)
            poll.register(source, select.POLLIN)
        texts = [bytearray(), bytearray()]
        while True:
            ready = [descriptor for descriptor, _ in poll.poll(milliseconds_until(deadline))]
            texts[0] += kept(_drain(self._output))
            texts[1] += _drain(self.status)
            if max(map(len, texts)) > most:
                raise self.failed(f"{self.name} wrote more than {most} bytes and was ended")
            if self.pidfd in ready:
                return list(map(bytes, texts))
            if monotonic() >= deadline:
                raise TimeoutError


def _drain(source: int) -> bytes:
    try:
        return os.read(source, MAX_OUTPUT)
    except BlockingIOError:
        return b""
