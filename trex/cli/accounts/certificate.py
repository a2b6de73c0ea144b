"""Revocations in a file, and a key with them: whatever else the file has is left there.

A file that is given to `trex revoke` can only take something away. So of a key with a revocation
nothing is taken but signatures that revoke, and gpg checks these. Formats: RFC 4880, sections
5.2.1 and 11.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.errors import CommandError
from trex.cli.setup import keyring
from trex.cli.setup.givenfile import Wanted
from trex.openpgp.keyblock import (
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SECRET,
    Malformed,
    blocks,
    dearmored,
    fingerprint,
    packets,
)
from trex.openpgp.keylist import parse_listing

if TYPE_CHECKING:
    from trex.openpgp.keylist import Key

SIGNATURE = 2
OF_KEY, OF_SUBKEY = 0x20, 0x28  # types of signatures
PLACE_OF_TYPE = {3: 2, 4: 1, 5: 1, 6: 1}  # in a signature's body, by its version
HINT = "gpg writes one beside each new key, in ~/.gnupg/openpgp-revocs.d; or gpg --gen-revoke KEY"
# Signatures by whose key they are in ("" for a certificate alone), and which subkey they are about
# ("" for the key as a whole).
Revocations = list[tuple[str, str, bytes]]
REVOCATION = Wanted("a revocation", HINT, "trex revoke", "-")


def read_revocations(content: bytes, source: str) -> Revocations:
    """Return the revocations in a certificate, or in a key: binary or armored.

    The colon that gpg puts before the armor of a certificate is no mistake here. Raises
    CommandError for a file without any.
    """
    try:
        found = _revocations(dearmored(content))
    except Malformed as error:
        raise CommandError(f"{source}: expected a revocation, found {error}", HINT) from None
    if not found:
        raise CommandError(f"{source}: expected a revocation, found none in it", HINT)
    return found


def _revocations(content: bytes) -> Revocations:
    found: Revocations = []
    key = subkey = ""
    for tag, body, whole in packets(content):
        if tag in SECRET:
            raise Malformed("a secret key, which does not belong on a server")
        if tag == PUBLIC_KEY:
            key, subkey = fingerprint(body), ""
        elif tag == PUBLIC_SUBKEY:
            subkey = fingerprint(body)
        elif tag == SIGNATURE and _type(body) == (OF_SUBKEY if subkey else OF_KEY):
            found.append((key, subkey, whole))
    return found


def _type(body: bytes) -> int:
    place = PLACE_OF_TYPE.get(body[0] if body else 0, 0)
    return body[place] if 0 < place < len(body) else 0


def with_revocations(block: bytes, revocations: Revocations) -> bytes:
    """Return a public key with those revocations that may be its own."""
    own = ""
    parts = []
    for tag, body, whole in packets(block):
        parts.append(whole)
        if tag in (PUBLIC_KEY, PUBLIC_SUBKEY):
            part = fingerprint(body)
            own = own or part
            about = "" if tag == PUBLIC_KEY else part
            parts += [what for key, of, what in revocations if key in ("", own) and of == about]
    return b"".join(parts)


def revoked_by(block: bytes, revocations: Revocations) -> tuple[bytes, list[str]]:
    """Return the key as gpg takes it with these revocations, and what is revoked by them.

    That is the fingerprint of the key, or of subkeys; none if the revocations are not its own, or
    changed nothing. In a process of the keyring's owner. Raises CommandError.
    """
    before = revoked_parts(_as_taken(block)[1])
    taken, key = _as_taken(with_revocations(block, revocations))
    return taken, [part for part in revoked_parts(key) if part not in before]


def revoked_parts(key: Key) -> list[str]:
    """Return the fingerprint of a revoked key, or of its revoked subkeys."""
    revoked = [part.fingerprint for part in key.subkeys if part.validity == "r"]
    return revoked[:1] if key.validity == "r" else revoked


def _as_taken(block: bytes) -> tuple[bytes, Key]:
    """Import a key into a new keyring: gpg drops signatures that are not right."""
    told = keyring.keys_in(block, "the record's key")
    [key] = parse_listing(told["listing"])
    [whole] = blocks(told["armored"].encode())
    return whole.raw(), key
