"""The context of a challenge: the parser for what `trex.openpgp.prompt.context` writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from trex.errors import one_line
from trex.openpgp.hostkeys import LENGTH
from trex.openpgp.prompt import MAX_CONTEXT

# A value that was cut ends in `*`, possibly within a percent code.
FIELD = r"((?:[A-Za-z0-9._~@:\[\]-]|%[0-9A-F]{2})+(?:(?:%[0-9A-F]?)?\*)?)"
# No host name contains `@`, so `user@host` is unambiguous.
HOST = FIELD.replace("@", "")
HOST_KEY = rf"[A-Za-z0-9+_]{{{LENGTH}}}"
FORM = re.compile(
    rf"trex user={FIELD} host={HOST} service={FIELD} from={FIELD} until=([0-9TZ:-]{{20}})"
    rf"(?: hostkeys=({HOST_KEY}(?:,{HOST_KEY})*))?((?: [a-z]+=[!-~]+)*)"
)
KNOWN = ("user", "host", "service", "from", "until", "hostkeys")
UNTIL = "%Y-%m-%dT%H:%M:%SZ"
MOST_AHEAD = timedelta(days=1)  # `timeout=` is at most an hour; the rest allows for wrong clocks


@dataclass(frozen=True)
class Context:
    """Names are still percent-encoded, and end in `*` if the server had to cut them."""

    user: str
    host: str
    service: str
    origin: str  # the address that the server sees
    until: datetime
    host_keys: tuple[str, ...] = ()  # as `trex.openpgp.hostkeys.short` writes them

    @property
    def name(self) -> str:
        """Return `user@host`, encoded: one word."""
        return f"{self.user}@{self.host}"


def parse_context(text: str) -> Context | None:
    """Return the context in `text`, or None if it does not have exactly Trex's form.

    Further fields, which a newer Trex may write at the end, are ignored; none may repeat another.
    """
    found = FORM.fullmatch(text) if len(text) <= MAX_CONTEXT else None
    if not found or _repeats(found[7]):
        return None
    try:
        until = datetime.strptime(found[5], UNTIL).replace(tzinfo=UTC)
    except ValueError:
        return None
    host_keys = tuple(found[6].split(",")) if found[6] else ()
    return Context(found[1], found[2], found[3], found[4], until, host_keys)


def _repeats(further: str) -> bool:
    names = [*KNOWN, *(field.partition("=")[0] for field in further.split())]
    return len(set(names)) < len(names)


def shown(text: str) -> str:
    """Return text from outside in a form that is safe to write to a terminal.

    Percent codes are decoded; everything unprintable, bidirectional controls included, is escaped.
    """
    return one_line(unquote(text, errors="backslashreplace"))
