"""Parsing what gpg writes: its listing of keys, and when a key ends, and its status lines.

Formats: doc/DETAILS in GnuPG's source, "Format of colon listings" and "of the --status-fd output".

A user's processes can write into the output of a gpg that runs as that user, and root reads it.
So malformed output is refused, and only user ids are passed on unchanged.
"""

import time

from trex.errors import GpgFailed
from trex.openpgp.record import FINGERPRINT_LENGTHS, HEX_DIGITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    Status = dict[str, list[list[str]]]  # gpg's status lines by keyword

VALIDITY, LENGTH, ALGORITHM, CREATED, EXPIRES, TEXT, CAPABILITIES = 1, 2, 3, 5, 6, 9, 11
SECRET, CURVE = 14, 16
PRIMARY, SUBKEY = ("pub", "sec"), ("sub", "ssb")  # the second of each in a secret listing
NEVER = float("inf")
DAY = 24 * 3600
# RFC 4880, section 9.1, and RFC 9580, section 9.1.
ALGORITHMS = {"1": "rsa", "16": "elgamal", "17": "dsa", "18": "ecdh", "19": "ecdsa", "22": "eddsa"}
CURVES = frozenset((
    "ed25519", "cv25519", "ed448", "cv448", "nistp256", "nistp384", "nistp521", "secp256k1",
    "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1",
))  # fmt: skip
UNUSABLE = frozenset("idren")  # invalid, disabled, revoked, expired, not valid
MAX_LISTING = 8 << 20  # characters; ten thousand keys have seven million
MAX_ROW = 64 << 10  # bytes; gpg imports no user id of more than 2048
MAX_DIGITS = 10  # of a time or a length: gpg's have 32 bits


class Sieve:
    """Takes a listing in pieces, and keeps only the user ids with a wanted address.

    A login needs no others, and anybody can have megabytes of them in a key that gpg lists too.
    """

    def __init__(self, names: list[str]) -> None:
        self._addresses = [name for name in names if "@" in name]
        self.rest = b""  # of an incomplete row

    def __call__(self, piece: bytes) -> bytes:
        """Return the complete rows to keep. Raises GpgFailed for a row that is too long."""
        *rows, self.rest = (self.rest + piece).split(b"\n")
        if len(self.rest) > MAX_ROW:
            raise GpgFailed(f"gpg's listing has a row of more than {MAX_ROW >> 10} KiB")
        return b"".join(row + b"\n" for row in rows if self._is_kept(row))

    def _is_kept(self, text: bytes) -> bool:
        if not text.startswith(b"uid:"):
            return True
        if not self._addresses:
            return False
        row = text.decode("utf-8", "replace").split(":")
        return len(row) > TEXT and any(map(UserId(row).has, self._addresses))


class Subkey:
    """A subkey, or the primary key, which can be used like one; times are seconds since 1970."""

    __slots__ = ("capabilities", "expires", "fingerprint", "kind", "secret", "validity")

    def __init__(self, row: list[str]) -> None:
        self.fingerprint = ""
        self.expires = _seconds(row[EXPIRES]) or NEVER
        self.kind = _kind(row)
        self.validity = row[VALIDITY]
        self.capabilities = row[CAPABILITIES]
        # Of a secret key: a card's number, "+" for a key here, "#" for one that is not.
        self.secret = row[SECRET] if len(row) > SECRET else ""

    @property
    def usable(self) -> bool:
        """Whether it is neither revoked nor expired nor invalid."""
        return self.validity not in UNUSABLE


class UserId:
    """A user id, usually `Name <address>`, and its validity (doc/DETAILS)."""

    __slots__ = ("_small", "text", "validity")

    def __init__(self, row: list[str]) -> None:
        self.text = _unescaped(row[TEXT])
        self.validity = row[VALIDITY]
        self._small = self.text.lower()

    def has(self, address: str) -> bool:
        """Tell whether this is the user id of a mail address, by gpg's rule for angle brackets."""
        small = address.lower()
        return self._small == small or f"<{small}>" in self._small


class Key:
    """One public key with its user ids, as gpg knows it."""

    __slots__ = ("capabilities", "created", "expires", "fingerprint", "identities", "kind",
                 "subkeys", "validity")  # fmt: skip

    def __init__(self, row: list[str]) -> None:
        self.fingerprint = ""
        self.identities: list[UserId] = []
        self.kind = _kind(row)
        self.created = _seconds(row[CREATED])
        self.expires = _seconds(row[EXPIRES]) or NEVER
        self.validity = row[VALIDITY]
        self.capabilities = row[CAPABILITIES]  # small: the primary's; capital: the whole key's
        self.subkeys = [Subkey(row)]  # the primary key first

    @property
    def usable(self) -> bool:
        """Whether the primary key is not revoked, expired, invalid or disabled."""
        return self.validity not in UNUSABLE and "D" not in self.capabilities

    def with_one_subkey(self, fingerprint: str) -> "Key":
        """Return a copy with only one subkey."""
        other = Key.__new__(Key)
        for name in Key.__slots__:
            setattr(other, name, getattr(self, name))
        primary, *subkeys = self.subkeys
        other.subkeys = [primary, *(sub for sub in subkeys if sub.fingerprint == fingerprint)]
        return other

    @property
    def user_ids(self) -> list[str]:
        """The texts of the user ids, in gpg's order."""
        return [identity.text for identity in self.identities]

    @property
    def encrypting(self) -> list[Subkey]:
        """The primary key and subkeys that are for encryption, including expired ones."""
        return [subkey for subkey in self.subkeys if "e" in subkey.capabilities]

    @property
    def ends(self) -> float:
        """When encryption to it ends or ended; 0 if it was never possible."""
        ends = [subkey.expires for subkey in self.encrypting if subkey.validity != "r"]
        return min(self.expires, max(ends, default=0))

    @property
    def lasts_until(self) -> float:
        """Until when this key can be encrypted to; 0 if it cannot be now."""
        usable = [subkey.expires for subkey in self.encrypting if subkey.usable]
        if not self.usable or not usable or self.created > time.time():
            return 0
        return min(self.expires, max(usable))


def parse_listing(listing: str) -> list[Key]:
    """Return the keys in what gpg wrote for --list-keys or --list-secret-keys, in its order.

    Raises GpgFailed for a listing that is too long, cut off, or has an invalid fingerprint.
    """
    if len(listing) > MAX_LISTING:
        raise GpgFailed(f"gpg's listing has more than {MAX_LISTING >> 20} MiB")
    if listing and not listing.endswith("\n"):
        raise GpgFailed("gpg's listing ends in the middle of a line")
    keys: list[Key] = []
    for line in listing.split("\n"):
        row = line.split(":")
        if row[0] in PRIMARY and len(row) > CAPABILITIES:
            keys.append(Key(row))
        if keys:
            _add(keys[-1], row)
    if not all(key.fingerprint for key in keys):
        raise GpgFailed("gpg's listing has a key without a fingerprint")
    return keys


def parse_status(text: bytes) -> "Status":
    """Return `{keyword: [arguments, ...]}` of the lines that start with `[GNUPG:]`."""
    lines: Status = {}
    for line in text.decode("utf-8", "replace").split("\n"):
        prefix, *words = line.split(" ")
        if prefix == "[GNUPG:]" and words:
            lines.setdefault(words[0], []).append(words[1:])
    return lines


def day(seconds: float) -> str:
    """Return a time as `2026-11-22`, or `never`."""
    return "never" if seconds == NEVER else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _add(key: Key, row: list[str]) -> None:
    if row[0] == "fpr" and not key.subkeys[-1].fingerprint and len(row) > TEXT:
        key.subkeys[-1].fingerprint = _fingerprint(row[TEXT])
        key.fingerprint = key.fingerprint or key.subkeys[-1].fingerprint
    elif row[0] == "uid" and len(row) > TEXT:
        key.identities.append(UserId(row))
    elif row[0] in SUBKEY and len(row) > CAPABILITIES:
        key.subkeys.append(Subkey(row))


def _unescaped(text: str) -> str:
    r"""Decode escapes such as `\x3a`: the bytes are UTF-8; others stay escaped."""
    plain, *parts = text.split("\\x")
    raw = plain.encode("utf-8", "surrogateescape")
    for part in parts:
        try:
            raw += bytes.fromhex(part[:2]) + part[2:].encode("utf-8", "surrogateescape")
        except ValueError:
            raw += f"\\x{part}".encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")


def _fingerprint(text: str) -> str:
    if len(text) not in FINGERPRINT_LENGTHS or not HEX_DIGITS.issuperset(text):
        raise GpgFailed("gpg's listing has an invalid fingerprint")
    return text


def _kind(row: list[str]) -> str:
    """Return a curve, or algorithm and length; an unknown algorithm as its number."""
    if len(row) > CURVE and row[CURVE] in CURVES:
        return row[CURVE]
    number = _seconds(row[ALGORITHM])
    return ALGORITHMS.get(str(number), f"algorithm {number}, ") + str(_seconds(row[LENGTH]))


def _seconds(text: str) -> int:
    plain = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    return int(text) if plain else 0
