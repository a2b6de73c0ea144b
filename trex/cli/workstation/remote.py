"""The far side of `trex copy-id`: `trex enroll --piped` through ssh, within a time."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Self

from trex.cli.errors import CommandError
from trex.cli.terminal import say

if TYPE_CHECKING:
    from types import TracebackType

END = b"-----END PGP MESSAGE-----"
SECONDS = 600  # for ssh to ask what it asks, and for a passphrase
WITHIN = f"within {SECONDS // 60} minutes"
MOST = 1 << 20  # bytes: a key that signs, and a challenge
PIECE = 1 << 16
LINE = 1 << 12  # bytes
REST_SECONDS = 5  # for the last of its messages, when ssh has ended
NO_SSH, NO_COMMAND, BAD_USAGE = 255, 127, 2
NO_SUDO = 77  # EX_NOPERM of sysexits.h: what `by_root` ends with
HAND_IN = (
    "give its administrator your key (gpg --armor --export > key.asc), who enrols you there: "
    "sudo trex enroll --central --user NAME --key - < key.asc"
)
WHY = {
    NO_SUDO: (
        "sudo does not run trex there without asking",
        HAND_IN,
    ),
    NO_SSH: ("ssh did not log in", "log in once with ssh, then try again"),
    NO_COMMAND: ("there is no trex on its PATH", "install Trex there, or --trex"),
    BAD_USAGE: ("its trex is an older one", "install a newer one there"),
}  # fmt: skip


def by_root(enroll: str, user: str) -> str:
    """Return the command by which sudo enrols `user` centrally; `enroll` is that of the user.

    sudo cannot ask: its input is the key and the response.
    """
    central = f"sudo -n {enroll} --central --user {shlex.quote(user)}"
    return f"sudo -n {enroll} --help >/dev/null || exit {NO_SUDO}; {central}"


class Remote:
    """A context manager around one ssh; it is ended with the block.

    What it and the server say to people is passed on, without what could control the terminal.
    """

    def __init__(self, command: list[str]) -> None:
        self._deadline = monotonic() + SECONDS
        self._process = subprocess.Popen(  # noqa: S603 (a list of arguments, an absolute path)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._telling = Thread(target=self._tell, daemon=True)
        self._telling.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._telling.join(REST_SECONDS)

    def _tell(self) -> None:
        stream = self._process.stderr
        if stream is None:
            return
        with stream, open(stream.fileno(), "rb", closefd=False) as lines:
            for line in iter(lambda: lines.readline(LINE), b""):
                say(line.decode("utf-8", "replace").rstrip("\r\n"))

    @property
    def pid(self) -> int:
        """The process that is ssh."""
        return self._process.pid

    def ask(self, key: bytes) -> str:
        """Send the key; return what comes up to the end of the challenge. Raises CommandError."""
        self._send(key)
        said = b""
        while END not in said:
            more = self._receive()
            said += more
            if not more:
                raise self._failure()
            if len(said) > MOST:
                raise CommandError(f"it has sent {MOST >> 20} MiB, and no challenge")
        return said.decode("utf-8", "replace")

    def answer(self, response: str) -> None:
        """Send the response; return when the record is written. Raises CommandError."""
        self._send(f"{response}\n".encode())
        if self._process.stdin:
            self._process.stdin.close()
        while self._receive():
            pass
        if self._ended() != 0:
            raise self._failure()

    def _send(self, content: bytes) -> None:
        """Write all of it. Raises CommandError, also if it is not read within the time."""
        stream = self._process.stdin
        if stream is None:
            return
        os.set_blocking(stream.fileno(), False)
        try:
            while content:
                if not select.select([], [stream], [], self._left())[1]:
                    raise CommandError(f"what was sent was not read {WITHIN}")
                content = content[os.write(stream.fileno(), content) :]
        except BrokenPipeError:
            raise self._failure() from None

    def _receive(self) -> bytes:
        stream = self._process.stdout
        if stream is None or not select.select([stream], [], [], self._left())[0]:
            raise CommandError(f"no answer {WITHIN}")
        return os.read(stream.fileno(), PIECE)

    def _left(self) -> float:
        """Return the seconds that are left. Raises CommandError if there are none."""
        left = self._deadline - monotonic()
        if left <= 0:
            raise CommandError(f"it has not ended {WITHIN}")
        return left

    def _ended(self) -> int:
        try:
            return self._process.wait(max(self._deadline - monotonic(), 0))
        except subprocess.TimeoutExpired:
            raise CommandError(f"it has not ended {WITHIN}") from None

    def _failure(self) -> CommandError:
        code = self._ended()
        why = WHY.get(code, (f"trex enroll failed there, with status {code}", "see what it said"))
        return CommandError(*why)
