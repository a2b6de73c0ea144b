"""How many messages went to whom: limits against flooding a phone and emptying an account.

Each message counts for a user and for the host, in the last hour and in the last day. It is counted
before it is sent, and stays counted even if it is unknown whether it was sent.
"""

import os
import time
from bisect import bisect_right
from contextlib import contextmanager, suppress
from time import monotonic

from trex.errors import TooManyAttempts
from trex.sms.errors import StateUnusable
from trex.system.rewriting import TURN_SECONDS, Overtaken, replace, take_turn, tries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    Row = tuple[float, str]  # when (Unix time), and to whom

    class Counts(Protocol):
        """Where messages are counted."""

        def add(self, user: str, host: str, messages: int, limits: dict[str, int]) -> None:
            """Count messages that are about to be sent, all or none, in one step.

            Raises TooManyAttempts over a limit, StateUnusable if the messages cannot be counted.
            """

        def reached(
            self, user: str, host: str, messages: int, limits: dict[str, int]
        ) -> dict[str, float | None]:
            """Return the limits that would refuse so many messages now; nothing is counted.

            The value is the seconds until they are allowed, None for never. Raises StateUnusable.
            """

        def reset(self, user: str) -> int:
            """Have the messages to `user` count for the host alone; return how many counted.

            Raises StateUnusable.
            """


HOUR, DAY = 3600, 86400
SPANS = {"user_hour": HOUR, "user_day": DAY, "host_hour": HOUR, "host_day": DAY}
NOBODY = ""  # to whom a message counts that was reset
FILE = "file:"  # the scheme of a `state` that is a file


class FileCounts:
    """A file on this host, a line for each message of a day: when (Unix time), and to whom.

    `trex.system.rewriting` replaces it, so that a login that is stopped delays no other for long.
    """

    def __init__(self, path: str) -> None:
        """Take the file's path. The first message creates the file."""
        self._path = path

    def add(self, user: str, host: str, messages: int, limits: dict[str, int]) -> None:  # noqa: ARG002 (one host's file)
        """See Counts."""
        self._rewrite(lambda rows: _added(rows, user, messages, limits))

    def reset(self, user: str) -> int:
        """See Counts."""
        counted = []

        def change(rows: "list[Row]") -> bytes:
            counted.append(len(_times(rows, user, "user_day", time.time())))
            return _text([(at, NOBODY if who == user else who) for at, who in rows])

        self._rewrite(change)
        return counted[-1]

    def _rewrite(self, change: "Callable[[list[Row]], bytes]") -> None:
        """Replace the file by what `change` makes of its rows. Raises StateUnusable."""
        deadline = monotonic() + TURN_SECONDS
        try:
            for _ in tries():
                with self._read(deadline) as (read, rows), suppress(Overtaken):
                    replace(self._path, read, change(rows))
                    return
        except OSError as error:
            raise StateUnusable(f"{self._path} cannot be used: {error.strerror}") from None
        raise StateUnusable(f"{self._path} cannot be used: too many logins count at once")

    def reached(
        self,
        user: str,
        host: str,  # noqa: ARG002 (one host's file)
        messages: int,
        limits: dict[str, int],
    ) -> dict[str, float | None]:
        """See Counts. This takes no lock."""
        self._check_directory()
        try:
            with self._read(0) as (_, rows):
                pass
        except OSError as error:
            raise StateUnusable(f"{self._path} cannot be used: {error.strerror}") from None
        now = time.time()
        waits = {
            name: _wait(_times(rows, user, name, now), SPANS[name] - now, most - messages)
            for name, most in limits.items()
        }
        return {name: wait for name, wait in waits.items() if wait != 0}

    def _check_directory(self) -> None:
        """Raise StateUnusable if the next message could not be counted."""
        directory = os.path.dirname(self._path)
        try:
            os.stat(directory)
        except OSError as error:
            raise StateUnusable(f"{directory}: {error.strerror}") from None
        if not os.access(directory, os.W_OK | os.X_OK):
            raise StateUnusable(f"{directory} cannot be written")

    @contextmanager
    def _read(self, deadline: float) -> "Iterator[tuple[os.stat_result | None, list[Row]]]":
        """Open the file when this login has its turn, or at `deadline` (monotonic) without it.

        Raises OSError, and StateUnusable for a file that holds no counts.
        """
        while (descriptor := self._open()) >= 0:
            try:
                if deadline:
                    take_turn(descriptor, deadline)
                    if not self._is_there(descriptor):  # the login before has replaced it
                        continue
                status = os.fstat(descriptor)
                yield status, self._rows(_whole(descriptor))
                return
            finally:
                os.close(descriptor)
        yield None, []

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self._path))
        except FileNotFoundError:
            return False

    def _rows(self, content: bytes) -> "list[Row]":
        try:
            text = content.decode("utf-8", "surrogateescape")
            *lines, rest = text.split("\n")
            pairs = [line.split(" ", 1) for line in [*lines, *([rest] if rest else [])]]
            return [(float(at), user) for at, user in pairs]
        except ValueError:
            raise StateUnusable(f"{self._path} holds no counts") from None


def _whole(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _added(rows: "list[Row]", user: str, messages: int, limits: dict[str, int]) -> bytes:
    """Return the file's new content, with the messages added. Raises TooManyAttempts."""
    now = time.time()
    # Drop entries of a clock that was far ahead: they would count until then.
    rows = [row for row in rows if now - DAY < row[0] <= now + HOUR]
    for name, most in limits.items():
        if len(_times(rows, user, name, now)) + messages > most:
            raise too_many(name, most)
    return _text(rows + [(now, user)] * messages)


def _text(rows: "list[Row]") -> bytes:
    text = "".join(f"{at:.6f} {user}\n" for at, user in rows)
    return text.encode("utf-8", "surrogateescape")


def _times(rows: "list[Row]", user: str, name: str, now: float) -> list[float]:
    """Return the sorted times of the messages that count for a limit."""
    times = sorted(at for at, who in rows if who == user or not name.startswith("user"))
    return times[bisect_right(times, now - SPANS[name]) : bisect_right(times, now + HOUR)]


def _wait(times: list[float], ahead: float, allowed: int) -> float | None:
    """Return in how many seconds at most `allowed` messages still count; None for never.

    A message's time plus `ahead` is the number of seconds until it no longer counts.
    """
    if allowed < 0:
        return None
    return times[-1 - allowed] + ahead if len(times) > allowed else 0


def too_many(name: str, most: int) -> TooManyAttempts:
    """Return the error for a limit that is reached."""
    return TooManyAttempts(f"nothing is sent: the limit {name} = {most} is reached")
