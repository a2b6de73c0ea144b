"""Key files and messages as OpenPGP packets: what an administrator, a user or gpg wrote."""

from __future__ import annotations

from trex.errors import FileUnsafe
from trex.openpgp.keyblock import Malformed, blocks, session_key_ids
from trex.openpgp.recipients import from_file


def check(data: bytes) -> None:
    """Keys with fingerprints, or Malformed; and a file with one key, or FileUnsafe."""
    try:
        found = blocks(data)
    except Malformed:
        found = []
    for block in found:
        for one in (block.fingerprint, *block.subkeys):
            assert len(one) in (40, 64)
            assert set(one) <= set("0123456789ABCDEF")
        assert block.raw() in data or b"-----BEGIN" in data
        assert len(block.raw(frozenset(block.subkeys))) <= len(block.raw())
    try:
        chosen = from_file("/etc/key.pgp", data)
        assert len(found) == 1
        assert chosen.fingerprint == found[0].fingerprint
    except FileUnsafe as error:
        assert len(str(error)) < 200
    try:
        ids = session_key_ids(data.decode("latin-1"))
        assert all(len(one) == 16 for one in ids)
    except Malformed:
        pass
