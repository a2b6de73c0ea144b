"""The keys of many records at once: one listing for a keyring, a few for all keys in files.

Starting gpg for each of ten thousand users takes minutes. Who can answer is decided as in a login,
by `trex.openpgp.recipients`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trex.errors import TrexError
from trex.openpgp.keylist import Key, Sieve, parse_listing
from trex.openpgp.keyring import LIST
from trex.openpgp.recipients import Chosen
from trex.openpgp.record import ONE_SUBKEY
from trex.system.child import PIPE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.openpgp.keyblock import Block
    from trex.openpgp.keyring import Keyring

MOST_USER_IDS = 8  # of a key, beside those with an address in a record
PART = 4 << 20  # characters of a listing that are parsed at once
ADDRESS = re.compile(r"<([^<>]+)>")
TRUSTED = ("m", "f", "u")  # to vouch for other keys: marginally, fully, ultimately (doc/DETAILS)
OWNER_TRUST = 8  # field 9 of a key's row


class FewUserIds(Sieve):
    """Keeps the first user ids of each key too: anybody can add megabytes of others."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(names)
        self._count = 0

    def _is_kept(self, text: bytes) -> bool:
        if text.startswith(b"pub:"):
            self._count = 0
        if not text.startswith(b"uid:"):
            return True
        self._count += 1
        return self._count <= MOST_USER_IDS or super()._is_kept(text)


class Ring:
    """The keys of one keyring, found by what a record says."""

    def __init__(self, keys: list[Key], vouching: frozenset[str] = frozenset()) -> None:
        self.keys = keys
        self.vouching = vouching  # the fingerprints of those that vouch for others
        self._by_name: dict[str, list[Key]] = {}
        for key in self.keys:
            for name in _names_of(key):
                self._by_name.setdefault(name, []).append(key)

    def find(self, name: str) -> list[Key]:
        """Return the keys that gpg would find for a name in a record."""
        plain = name.lower() if "@" in name else name.removesuffix(ONE_SUBKEY)
        return self._by_name.get(plain, [])


def read_ring(keyring: Keyring, names: list[str], searched: list[str], *, trust: bool) -> Ring:
    """List a keyring, as it is for records with these names; `searched` is [] for all keys.

    Raises an OpenPGPError or FileUnsafe.
    """
    child = keyring.search(LIST, searched, trust=trust)
    listing = keyring.listed(child, FewUserIds(names))
    keys = [key for part in _parts(listing) for key in parse_listing(part)]
    rows = [line.split(":") for line in listing.split("\n") if line.startswith("pub:")]
    told = zip(keys, rows, strict=True)
    return Ring(
        keys, frozenset(key.fingerprint for key, row in told if row[OWNER_TRUST] in TRUSTED)
    )


def as_chosen(block: Block) -> Chosen:
    """Return a key outside a keyring, with all of its subkeys."""
    chosen = Chosen(block.fingerprint, block.fingerprint, block.subkeys)
    chosen.take(block)
    return chosen


def list_blocks(keyring: Keyring, chosen: list[Chosen]) -> list[Key | None]:
    """Return what gpg says of each key outside the keyring, None for one that it cannot read."""
    found: list[Key | None] = []
    for batch in _batches(chosen):
        found += _list_batch(keyring, batch)
    return found


def _batches(chosen: list[Chosen]) -> Iterator[list[Chosen]]:
    """Divide keys so that each part fits into a pipe (pipe(7)), as far as one key does."""
    batch: list[Chosen] = []
    size = 0
    for one in chosen:
        if batch and size + len(one.block) > PIPE_SIZE:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.block)
    if batch:
        yield batch


def _list_batch(keyring: Keyring, batch: list[Chosen]) -> list[Key | None]:
    """List some keys; halve the batch where gpg does not tell exactly these, in this order."""
    try:
        keys = parse_listing(keyring.show_block(b"".join(one.block for one in batch)))
    except TrexError:
        keys = []
    if [key.fingerprint for key in keys] == [one.fingerprint for one in batch]:
        return list(keys)
    if len(batch) == 1:
        return [None]
    middle = len(batch) // 2
    return _list_batch(keyring, batch[:middle]) + _list_batch(keyring, batch[middle:])


def _names_of(key: Key) -> set[str]:
    names = {sub.fingerprint for sub in key.subkeys}
    for text in key.user_ids:
        names.update([text.lower(), *ADDRESS.findall(text.lower())])
    return names


def _parts(listing: str) -> Iterator[str]:
    """Divide a listing before primary keys: `parse_listing` takes no more than 8 MiB at once."""
    begin = 0
    while begin < len(listing):
        end = listing.find("\npub:", begin + PART) + 1 or len(listing)
        yield listing[begin:end]
        begin = end
