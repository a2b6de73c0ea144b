"""How many messages went to whom: no telephone is flooded, and no account emptied.

Each message counts for a user and for the host, in the last hour and in the last day. It is counted
before it is sent, and stays counted if nobody knows whether it went out.
"""

import sqlite3
import time
from contextlib import closing

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
    query, values = "SELECT count(*) FROM message WHERE at > ?", [now - SPANS[name], user]
    if name.startswith("user"):
        return int(database.execute(f"{query} AND user = ?", values).fetchone()[0])
    return int(database.execute(query, values[:1]).fetchone()[0])


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
