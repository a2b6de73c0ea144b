"""The keys that a record names, and what a login makes of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import run_as
from trex.cli.setup.choosing import in_days, shown_user_id
from trex.errors import one_line
from trex.openpgp.errors import KeyNotFound, KeyRevoked
from trex.openpgp.gpg import EXPORT
from trex.openpgp.keyblock import blocks
from trex.openpgp.keylist import NEVER, day, parse_listing
from trex.openpgp.keyring import Keyring, read_key_file
from trex.openpgp.recipients import as_named, verdict
from trex.openpgp.record import ONE_SUBKEY, is_file, parse_record
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.openpgp.errors import KeyUnusable
    from trex.openpgp.keylist import Key
    from trex.openpgp.record import AuthRecord


@dataclass(frozen=True)
class Named:
    """One recipient of a record: its name there, its key if there is one, and the key itself."""

    name: str
    key: Key | None
    fault: KeyUnusable | None  # why a login refuses it
    block: bytes

    @property
    def fingerprint(self) -> str:
        """That of the key, "" if there is none."""
        return self.key.fingerprint if self.key else ""

    @property
    def is_revoked(self) -> bool:
        """Whether it is refused because it was revoked."""
        return isinstance(self.fault, KeyRevoked)

    def is_meant_by(self, fingerprint: str) -> bool:
        """Tell whether a fingerprint, with or without `!`, says this key or its one subkey."""
        plain = fingerprint.removesuffix(ONE_SUBKEY)
        return plain in (self.fingerprint, self.name.removesuffix(ONE_SUBKEY))

    @property
    def who(self) -> str:
        """The key in words, safe for a terminal."""
        if self.key is None:
            return one_line(self.name)
        part = f", its subkey {self.name}" if self.name.endswith(ONE_SUBKEY) else ""
        return f"{self.fingerprint} ({self._owner}){part}"

    @property
    def described(self) -> str:
        """Which key, whose and until when, in two lines that are safe for a terminal."""
        if self.key is None:
            return f"{one_line(self.name)}\n    {self._until()}"
        part = f"{self._owner}, its subkey alone" if self.name.endswith(ONE_SUBKEY) else self._owner
        return f"{self.fingerprint}\n    {part}, {self._until()}"

    @property
    def _owner(self) -> str:
        names = self.key.user_ids if self.key else []
        return shown_user_id(next(iter(names), "a key without a user id"))

    def _until(self) -> str:
        if self.fault or self.key is None:
            return f"but not now: {one_line(str(self.fault))}"
        end = as_named(self.name, self.key).lasts_until
        return "without an end" if end == NEVER else f"until {day(end)}, {in_days(end)}"


def parsed(location: Location, content: bytes) -> AuthRecord:
    """Return the record in a file's content. Raises RecordError or FileUnsafe."""
    return parse_record(content, location.record, readable(location.user.home))


def keys_named_in(location: Location, record: AuthRecord) -> list[Named]:
    """Return what the record's names stand for, read with the rights that a login has."""
    names, trust = record.recipients, record.trust
    told = run_as(location.reader, lambda: _read(location, names, trust=trust), location.seconds(2))
    found = []
    for name, one in zip(names, told, strict=True):
        key, fault = verdict(name, parse_listing(one["listing"]), trust=trust)
        found.append(Named(name, key, fault, bytes.fromhex(one["block"])))
    return found


def _read(location: Location, names: list[str], *, trust: bool) -> list[dict[str, Any]]:
    """Read the keys, in a process of the reader's."""
    options = location.options
    found = []
    with Keyring(options.gpg, location.reader, location.gnupg_home, options.gpg_timeout) as ring:
        for name in names:
            try:
                listing = ring.list_recipient(name, trust=trust)
            except KeyNotFound:  # the file of a key is missing
                listing = ""
            key, _ = verdict(name, parse_listing(listing), trust=trust)
            block = _block(ring, name, key) if key else b""
            found.append({"listing": listing, "block": block.hex()})
    return found


def _block(ring: Keyring, name: str, key: Key) -> bytes:
    """Return the key itself: gpg's search may find others that carry a copy of it."""
    content = (
        read_key_file(name, ring.account)
        if is_file(name)
        else ring.finish(ring.search(EXPORT, [key.fingerprint]))
    )
    own = [block for block in blocks(content) if block.fingerprint == key.fingerprint]
    return max((block.raw() for block in own), key=len, default=b"")
