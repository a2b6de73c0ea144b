"""Public keys read from gpg's own file: starting gpg in each of 10,000 homes takes minutes.

Only a plain case is read: a keybox (kbx/keybox-blob.c in GnuPG's source) without disabled keys, and
a record that names fingerprints. For any other, gpg is started in that home.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trex.errors import TrexError
from trex.openpgp.keyblock import Block, Malformed, blocks
from trex.openpgp.keyring import list_home
from trex.openpgp.record import ONE_SUBKEY
from trex.system.privilege import acting_as
from trex.system.safefile import read_safely

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.system.privilege import Account

PUBLIC, TRUST = "pubring.kbx", "trustdb.gpg"
PLAIN = ([PUBLIC], [PUBLIC, TRUST])  # and the directory of secret keys, which nothing here reads
SECRET = "private-keys-v1.d"  # noqa: S105 (a directory)
MAX_KEYBOX = 256 << 10  # bytes; a login's keyring has a few keys
# A blob: its length in four bytes, type, version, flags in two, where the key is, how long it is.
HEAD, OPENPGP_BLOB = 16, 2
TRUST_ROW, OWNER_TRUST, DISABLED = 12, 22, 0x80  # g10/tdbio.h: RECTYPE_TRUST and a flag of its own
ROW = 40  # bytes


def find_in_keybox(home: str, account: Account, names: list[str]) -> list[Block] | None:
    """Return the keys in a home that contain one of these fingerprints; None for another case."""
    if any("@" in name for name in names):
        return None
    wanted = {name.removesuffix(ONE_SUBKEY) for name in names}
    try:
        present = [name for name in list_home(home, account) if name != SECRET]
        if present not in PLAIN:
            return None
        with acting_as(account):
            if TRUST in present and has_disabled(_read(home, TRUST, account)):
                return None
            content = _read(home, PUBLIC, account)
        found = [block for raw in blobs(content) for block in blocks(raw)]
    except (TrexError, Malformed):
        return None
    return [block for block in found if wanted.intersection([block.fingerprint, *block.subkeys])]


def blobs(content: bytes) -> Iterator[bytes]:
    """Yield the keys in a keybox. Raises Malformed."""
    position = 0
    while position < len(content):
        head = content[position : position + HEAD]
        length = int.from_bytes(head[:4], "big")
        if len(head) < HEAD or length < HEAD or position + length > len(content):
            raise Malformed("a keybox that is cut off")
        if head[4] == OPENPGP_BLOB:
            begin, size = int.from_bytes(head[8:12], "big"), int.from_bytes(head[12:16], "big")
            if begin < HEAD or begin + size > length:
                raise Malformed("a keybox with a key outside its blob")
            yield content[position + begin : position + begin + size]
        position += length


def has_disabled(database: bytes) -> bool:
    """Tell whether a trust database says of any key that it is disabled."""
    rows = (database[begin : begin + ROW] for begin in range(0, len(database), ROW))
    return any(
        len(row) == ROW and row[0] == TRUST_ROW and row[OWNER_TRUST] & DISABLED for row in rows
    )


def _read(home: str, name: str, account: Account) -> bytes:
    return read_safely(os.path.join(home, name), account, MAX_KEYBOX)
