"""What a challenge says it is for: what `trex.openpgp.prompt.context` writes, read again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from trex.login.audit import one_line
from trex.openpgp.prompt import MAX_CONTEXT

# What was cut ends in `*`, perhaps within a percent code.
FIELD = r"((?:[A-Za-z0-9._~@:\[\]-]|%[0-9A-F]{2})+(?:(?:%[0-9A-F]?)?\*)?)"
# A host has no `@` in its name, so that `user@host` means one user at one host.
HOST = FIELD.replace("@", "")
FORM = re.compile(
    rf"trex user={FIELD} host={HOST} service={FIELD} from={FIELD} until=([0-9TZ:-]{{20}})"
)
UNTIL = "%Y-%m-%dT%H:%M:%SZ"
MOST_AHEAD = timedelta(days=1)  # `timeout=` is at most an hour; the rest is for clocks


@dataclass(frozen=True)
class Context:
    """Names are still encoded, and end in `*` where the server had to cut them."""

    user: str
    host: str
    service: str
    origin: str  # the address that the server sees
    until: datetime

    @property
    def name(self) -> str:
        """Return `user@host`, encoded: one word."""
        return f"{self.user}@{self.host}"


def parse_context(text: str) -> Context | None:
    """Return what `text` says, or None if it is not exactly of Trex's form."""
    found = FORM.fullmatch(text) if len(text) <= MAX_CONTEXT else None
    if not found:
        return None
    try:
        until = datetime.strptime(found[5], UNTIL).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Context(found[1], found[2], found[3], found[4], until)


def shown(text: str) -> str:
    """Return text from outside so that it can be written to a terminal.

    Percent codes are decoded; whatever is not printable, reversed writing included, is escaped.
    """
    return one_line(unquote(text, errors="backslashreplace"))
