"""The context of a challenge: the parser for what `trex.openpgp.prompt.context` writes."""

from __future__ import annotations

from datetime import datetime, timedelta

from trex.cli.client.words import DIGITS, HEX_DIGITS, LETTERS, is_word, unquoted
from trex.errors import one_line
from trex.openpgp.hostkeys import LENGTH
from trex.openpgp.prompt import MAX_CONTEXT

FIRST, FIELDS = "trex", ("user", "host", "service", "from", "until")
HOST_KEYS = "hostkeys"
SIGNS = LETTERS | DIGITS | frozenset("._~@:[]-")
HOST_SIGNS = SIGNS - {"@"}  # so `user@host` is unambiguous
TIME = "0000-00-00T00:00:00Z"  # where digits are, and where not
KEY_SIGNS = LETTERS | DIGITS | frozenset("+_")
SMALL = frozenset("abcdefghijklmnopqrstuvwxyz")
PRINTABLE = frozenset(map(chr, range(ord("!"), ord("~") + 1)))
CODE = 2  # digits of a percent code
UNTIL = "%Y-%m-%dT%H:%M:%SZ"
MOST_AHEAD = timedelta(days=1)  # `timeout=` is at most an hour; the rest allows for wrong clocks


class Context:
    """Names are still percent-encoded, and end in `*` if the server had to cut them.

    `origin` is the address that the server sees, and `host_keys` its keys, as
    `trex.openpgp.hostkeys.short` writes them.
    """

    __slots__ = ("host", "host_keys", "origin", "service", "until", "user")

    def __init__(  # noqa: PLR0913, PLR0917 (the fields of a context)
        self, user: str, host: str, service: str, origin: str, until: datetime,
        host_keys: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.user = user
        self.host = host
        self.service = service
        self.origin = origin
        self.until = until
        self.host_keys = host_keys

    @property
    def name(self) -> str:
        """Return `user@host`, encoded: one word."""
        return f"{self.user}@{self.host}"


def parse_context(text: str) -> Context | None:
    """Return the context in `text`, or None if it does not have exactly Trex's form.

    Further fields, which a newer Trex may write at the end, are ignored; none may repeat another.
    """
    first, *words = text.split(" ") if len(text) <= MAX_CONTEXT else [""]
    pairs = [(name, value) for name, _, value in (word.partition("=") for word in words)]
    names = tuple(name for name, _ in pairs)
    if first != FIRST or names[: len(FIELDS)] != FIELDS or len(set(names)) < len(names):
        return None
    user, host, service, origin, until = (value for _, value in pairs[: len(FIELDS)])
    further = pairs[len(FIELDS) :]
    host_keys: tuple[str, ...] = ()
    if names[len(FIELDS) : len(FIELDS) + 1] == (HOST_KEYS,):
        host_keys = tuple(further.pop(0)[1].split(","))
    if not all(map(_is_host_key, host_keys)) or not all(_is_further(*pair) for pair in further):
        return None
    fields = ((user, SIGNS), (host, HOST_SIGNS), (service, SIGNS), (origin, SIGNS))
    ends = _time(until)
    if not ends or not all(_is_field(value, signs) for value, signs in fields):
        return None
    return Context(user, host, service, origin, ends, host_keys)


def _is_host_key(text: str) -> bool:
    return len(text) == LENGTH and KEY_SIGNS.issuperset(text)


def _is_further(name: str, value: str) -> bool:
    known = name == HOST_KEYS  # in another place than Trex writes it
    return not known and is_word(name, SMALL) and is_word(value, PRINTABLE)


def _is_field(text: str, signs: frozenset[str]) -> bool:
    """Return whether a value is as `trex.openpgp.prompt` encodes it: signs, and percent codes.

    One that was cut ends in `*`, possibly within a percent code.
    """
    if text.endswith("*"):
        text = text[:-1]
        begun = text[-2:].find("%")
        if begun >= 0 and HEX_DIGITS.issuperset(text[-2:][begun + 1 :]):
            text = text[: begun - len(text[-2:])]
    plain, *codes = text.split("%")
    return (
        bool(text) and signs.issuperset(plain)
        and all(len(code) >= CODE and HEX_DIGITS.issuperset(code[:CODE])
                and signs.issuperset(code[CODE:]) for code in codes)
    )  # fmt: skip


def _time(text: str) -> datetime | None:
    if "".join("0" if sign in DIGITS else sign for sign in text) != TIME:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def shown(text: str) -> str:
    """Return text from outside in a form that is safe to write to a terminal.

    Percent codes are decoded; everything unprintable, bidirectional controls included, is escaped.
    """
    return one_line(unquoted(text, "backslashreplace"))
