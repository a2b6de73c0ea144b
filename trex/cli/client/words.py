"""Words that the client reads: of which signs they are, and what percent codes in them mean.

Without regular expressions and `urllib`, which take 6 and 7 ms to import: this is for every login.
"""

from __future__ import annotations

DIGITS = frozenset("0123456789")
HEX_DIGITS = frozenset("0123456789ABCDEF")
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
# Of a percent-encoded word (`trex.openpgp.prompt.encoded`); `*` is at the end of one that was cut.
SIGNS = LETTERS | DIGITS | frozenset("._~@:[]%*-")
V4_DIGITS, FINGERPRINT_DIGITS, KEY_ID_DIGITS = 40, (40, 64), 64  # of keys of version 4, or 5


def is_word(text: str, signs: frozenset[str] = SIGNS) -> bool:
    """Return whether `text` has only these signs, and at least one."""
    return bool(text) and signs.issuperset(text)


def is_fingerprint(text: str) -> bool:
    """Return whether `text` is a fingerprint as gpg prints it."""
    return len(text) in FINGERPRINT_DIGITS and HEX_DIGITS.issuperset(text)


def is_key_id(text: str) -> bool:
    """Return whether `text` is a key id as gpg prints it."""
    return len(text) <= KEY_ID_DIGITS and is_word(text, HEX_DIGITS)


def unquoted(text: str, errors: str) -> str:
    """Return text with its percent codes replaced by the bytes that they stand for, as UTF-8.

    What is no percent code stays. `errors` says what becomes of other bytes (codecs).
    """
    plain, *parts = text.split("%")
    raw = plain.encode("utf-8", "surrogateescape")
    for part in parts:
        code = part[:2]
        if len(code) == 2 and HEX_DIGITS.issuperset(code.upper()):  # noqa: PLR2004 (the digits of a code)
            raw += bytes.fromhex(code) + part[2:].encode("utf-8", "surrogateescape")
        else:
            raw += b"%" + part.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", errors)
