"""How many messages went to whom: no telephone is flooded, and no account emptied.

Each message counts for a user and for the host, in the last hour and in the last day. It is counted
before it is sent, and stays counted if nobody knows whether it went out.
"""

import sqlite3
import time

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
        """Open it, or make it. Raises NotSent."""
        try:
            self._database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            self._database.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise _unreachable(path, error) from None
        self._path = path

    def add(self, user: str, host: str, messages: int, limits: dict[str, int]) -> None:  # noqa: ARG002 (one host's file)
        """See Counts."""
        now = time.time()
        try:
            self._database.execute("BEGIN IMMEDIATE")  # nobody else counts until the commit
            try:
                self._database.execute("DELETE FROM message WHERE at <= ?", (now - DAY,))
                for name, most in limits.items():
                    if self._count(user, name, now) + messages > most:
                        raise too_many(name, most)
                row = (now, user)
                self._database.executemany("INSERT INTO message VALUES (?, ?)", [row] * messages)
            finally:
                self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise _unreachable(self._path, error) from None

    def _count(self, user: str, name: str, now: float) -> int:
        since = now - SPANS[name]
        query, values = "SELECT count(*) FROM message WHERE at > ?", [since]
        if name.startswith("user"):
            query += " AND user = ?"
            return int(self._database.execute(query, [*values, user]).fetchone()[0])
        return int(self._database.execute(query, values).fetchone()[0])


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
