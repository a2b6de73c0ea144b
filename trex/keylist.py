"""A colon listing of public keys (doc/DETAILS in GnuPG's source), and how long a key will do."""

import time

VALIDITY, LENGTH, ALGORITHM, CREATED, EXPIRES, TEXT, CAPABILITIES = 1, 2, 3, 5, 6, 9, 11
CURVE = 16
NEVER = float("inf")
# RFC 4880, section 9.1, and RFC 9580, section 9.1.
ALGORITHMS = {"1": "rsa", "16": "elgamal", "17": "dsa", "18": "ecdh", "19": "ecdsa", "22": "eddsa"}
UNUSABLE = frozenset("idren")  # invalid, disabled, revoked, expired, not valid


class Subkey:
    """A key or subkey that can be encrypted to; times are seconds since 1970."""

    __slots__ = ("expires", "kind", "usable")

    def __init__(self, row: list[str]) -> None:
        self.expires = _seconds(row[EXPIRES]) or NEVER
        self.kind = _kind(row)
        self.usable = row[VALIDITY] not in UNUSABLE


class Key:
    """One public key with its user ids, as gpg knows it."""

    __slots__ = ("capabilities", "created", "encrypting", "expires", "fingerprint", "kind",
                 "usable", "user_ids")  # fmt: skip

    def __init__(self, row: list[str]) -> None:
        self.fingerprint = ""
        self.user_ids: list[str] = []
        self.kind = _kind(row)
        self.created = _seconds(row[CREATED])
        self.expires = _seconds(row[EXPIRES]) or NEVER
        self.capabilities = row[CAPABILITIES]  # small: the primary's; capital: the whole key's
        self.usable = row[VALIDITY] not in UNUSABLE and "D" not in self.capabilities
        self.encrypting: list[Subkey] = []

    @property
    def lasts_until(self) -> float:
        """When the last moment is that this key can be encrypted to; 0 if it cannot be now."""
        usable = [subkey.expires for subkey in self.encrypting if subkey.usable]
        if not self.usable or not usable or self.created > time.time():
            return 0
        return min(self.expires, max(usable))


def parse_listing(listing: str) -> list[Key]:
    """Return the keys in what `gpg --with-colons --list-keys` wrote, in its order."""
    keys: list[Key] = []
    for line in listing.split("\n"):
        row = line.split(":")
        if row[0] == "pub" and len(row) > CAPABILITIES:
            keys.append(Key(row))
        if keys:
            _add(keys[-1], row)
    return keys


def day(seconds: float) -> str:
    """Return a moment as `2026-11-22`, or `never`."""
    return "never" if seconds == NEVER else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _add(key: Key, row: list[str]) -> None:
    if row[0] == "fpr" and not key.fingerprint and len(row) > TEXT:
        key.fingerprint = row[TEXT]
    elif row[0] == "uid" and len(row) > TEXT:
        key.user_ids.append(_unescaped(row[TEXT]))
    elif row[0] in ("pub", "sub") and "e" in "".join(row[CAPABILITIES:][:1]):
        key.encrypting.append(Subkey(row))


def _unescaped(text: str) -> str:
    r"""Undo `\x3a` and its like: the bytes are UTF-8, and stay escaped where they are not."""
    plain, *parts = text.split("\\x")
    raw = plain.encode("utf-8", "surrogateescape")
    for part in parts:
        try:
            raw += bytes.fromhex(part[:2]) + part[2:].encode("utf-8", "surrogateescape")
        except ValueError:
            raw += f"\\x{part}".encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")


def _kind(row: list[str]) -> str:
    if len(row) > CURVE and row[CURVE]:
        return row[CURVE]
    return ALGORITHMS.get(row[ALGORITHM], f"algorithm {row[ALGORITHM]}, ") + row[LENGTH]


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
