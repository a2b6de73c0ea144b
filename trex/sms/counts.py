"""How many messages went to whom: no telephone is flooded, and no account emptied.

Each message counts for a user and for the host, in the last hour and in the last day. It is counted
before it is sent, and stays counted if nobody knows whether it went out.
"""

import os
import sqlite3
import time
from contextlib import closing, suppress
from urllib.parse import quote

from trex.codeerrors import NotSent, TooManyAttempts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Counts(Protocol):
        """Where messages are counted."""

        def add(self, user: str, host: str, messages: int, limits: dict[str, int]) -> None:
            """Count messages that are about to be sent, all or none, in one step.

            Raises TooManyAttempts where that would be over a limit, NotSent where nobody can say.
            """

        def reached(
            self, user: str, host: str, messages: int, limits: dict[str, int]
        ) -> dict[str, float | None]:
            """Return the limits that would refuse so many messages now; nothing is counted.

            Each with the seconds until it would not, None where it always would. Raises NotSent.
            """


HOUR, DAY = 3600, 86400
SPANS = {"user_hour": HOUR, "user_day": DAY, "host_hour": HOUR, "host_day": DAY}
BUSY_SECONDS = 4.0
SCHEMA = """\
CREATE TABLE IF NOT EXISTS message (at REAL NOT NULL, user TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS message_at ON message (at);
"""


class SqliteCounts:
    """A file of this host's."""

    def __init__(self, path: str) -> None:
        """Take the path of the database, which the first message makes."""
        self._path = path

    def add(self, user: str, host: str, messages: int, limits: dict[str, int]) -> None:  # noqa: ARG002 (one host's file)
        """See Counts."""
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as database:
                database.isolation_level = None  # transactions begin and end where it says so here
                database.executescript(SCHEMA)
                _add(database, user, messages, limits)
        except sqlite3.Error as error:
            raise _unreachable(self._path, error) from None

    def reached(
        self,
        user: str,
        host: str,  # noqa: ARG002 (one host's file)
        messages: int,
        limits: dict[str, int],
    ) -> "dict[str, float | None]":
        """See Counts. It takes the lock that counting takes, and gives it back unused."""
        if not self._is_made():
            return {name: None for name, most in limits.items() if messages > most}
        try:
            address = f"file:{quote(self._path)}?mode=rw"  # which makes no file
            with closing(sqlite3.connect(address, timeout=BUSY_SECONDS, uri=True)) as database:
                database.isolation_level = None
                database.execute("BEGIN IMMEDIATE")
                now = time.time()
                waits = {
                    name: _wait(database, user, name, now, most - messages)
                    for name, most in limits.items()
                }
                database.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _unreachable(self._path, error) from None
        return {name: wait for name, wait in waits.items() if wait != 0}

    def _is_made(self) -> bool:
        """Tell whether a message was counted. Raises NotSent where the next one could not be.

        SQLite would open a file that it cannot write for reading, and say nothing.
        """
        made, directory = False, os.path.dirname(self._path)
        try:
            os.stat(directory)
            with suppress(FileNotFoundError):
                made = os.stat(self._path).st_size > 0
        except OSError as error:
            raise NotSent(f"{error.filename}: {error.strerror}") from None
        for path in [directory, self._path] if made else [directory]:
            if not os.access(path, os.W_OK):
                raise NotSent(f"{path} cannot be written")
        return made


def _add(database: sqlite3.Connection, user: str, messages: int, limits: dict[str, int]) -> None:
    database.execute("BEGIN IMMEDIATE")  # nobody else counts until the commit
    try:
        now = time.time()
        # And what a clock that was far ahead has left: it would count until then.
        database.execute("DELETE FROM message WHERE at <= ? OR at > ?", (now - DAY, now + HOUR))
        for name, most in limits.items():
            if _count(database, user, name, now) + messages > most:
                raise too_many(name, most)
        database.executemany("INSERT INTO message VALUES (?, ?)", [(now, user)] * messages)
    finally:
        database.execute("COMMIT")


def _count(database: sqlite3.Connection, user: str, name: str, now: float) -> int:
    which, values = _which(user, name, now)
    return int(database.execute(f"SELECT count(*) {which}", values).fetchone()[0])


def _wait(
    database: sqlite3.Connection, user: str, name: str, now: float, allowed: int
) -> "float | None":
    """Return in how many seconds no more than `allowed` count any more; None for never."""
    if allowed < 0:
        return None
    which, values = _which(user, name, now)
    query = f"SELECT at {which} ORDER BY at DESC LIMIT 1 OFFSET ?"
    one_too_many = database.execute(query, [*values, allowed]).fetchone()
    return one_too_many[0] + SPANS[name] - now if one_too_many else 0


def _which(user: str, name: str, now: float) -> "tuple[str, list[float | str]]":
    """Return what a query for the messages that count for a limit ends with, and its values."""
    span = [now - SPANS[name], now + HOUR]  # what is beyond, the next message deletes
    if name.startswith("user"):
        return "FROM message WHERE at > ? AND at <= ? AND user = ?", [*span, user]
    return "FROM message WHERE at > ? AND at <= ?", [*span]


def open_counts(url: str) -> "Counts":
    """Return the counts that a `state` names. Raises NotSent."""
    if url.startswith("sqlite:"):
        return SqliteCounts(url.removeprefix("sqlite:"))
    from trex.sms.fleet import RedisCounts

    return RedisCounts(url)


def too_many(name: str, most: int) -> TooManyAttempts:
    """Return the error for a limit that is reached."""
    return TooManyAttempts(f"nothing is sent: the limit {name} = {most} is reached")


def _unreachable(path: str, error: sqlite3.Error) -> NotSent:
    return NotSent(f"{path} cannot be used: {error}")
