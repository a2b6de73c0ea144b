"""Keys that carry somebody else's key as a subkey: whoever has a key can make such a one.

The owner binds it alone. A subkey that does not sign needs no signature of its own (RFC 4880,
5.2.1, type 0x18).
"""

from __future__ import annotations

import hashlib
import struct
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trex.openpgp.keyblock import PUBLIC_SUBKEY, packets

if TYPE_CHECKING:
    from tests.support.keys import Holder

AUTHENTICATE, ENCRYPT = 0x20, 0x0C  # key flags (RFC 4880, 5.2.3.21)
BINDING, ED25519, SHA256 = 0x18, 22, 8


def carrying(
    owner: Holder, key: str, victim: bytes, flags: int = AUTHENTICATE, expires: int = 0
) -> bytes:
    """Return `key` of `owner`, an Ed25519 key without passphrase, with the victim's key bound to it.

    With ENCRYPT it is the victim's first subkey that is bound. `expires` is in seconds from now.
    """
    public = list(packets(owner.public(key)))
    secret = next(packets(owner.secret(key)))[1]
    primary = public[0][1]
    theirs = [body for tag, body, _ in packets(victim) if tag in (6, PUBLIC_SUBKEY)]
    body = theirs[1] if flags & ENCRYPT else theirs[0]
    signature = _binding(primary, body, _signing_key(secret[len(primary) :]), flags, expires)
    return owner.public(key) + _packet(PUBLIC_SUBKEY, body) + _packet(2, signature)


def _signing_key(rest: bytes) -> Ed25519PrivateKey:
    assert rest[0] == 0, "no passphrase"
    length = (int.from_bytes(rest[1:3], "big") + 7) // 8
    return Ed25519PrivateKey.from_private_bytes(rest[3 : 3 + length].rjust(32, b"\0"))


def _binding(
    primary: bytes, subkey: bytes, key: Ed25519PrivateKey, flags: int, expires: int
) -> bytes:
    """Return the body of a subkey binding signature (RFC 4880, 5.2.3)."""
    issuer = hashlib.sha1(_hashed_key(primary), usedforsecurity=False).digest()
    made = int.from_bytes(subkey[1:5], "big")
    about = [(33, b"\4" + issuer), (2, struct.pack(">I", int(time.time()))), (27, bytes([flags]))]
    if expires:  # counted from the subkey's creation
        about.append((9, struct.pack(">I", int(time.time()) + expires - made)))
    hashed = b"".join(bytes([len(text) + 1, kind]) + text for kind, text in about)
    head = bytes([4, BINDING, ED25519, SHA256]) + struct.pack(">H", len(hashed)) + hashed
    trailer = b"\4\xff" + struct.pack(">I", len(head))
    digest = hashlib.sha256(_hashed_key(primary) + _hashed_key(subkey) + head + trailer).digest()
    signed = key.sign(digest)
    unhashed = bytes([9, 16]) + issuer[-8:]
    return (
        head + struct.pack(">H", len(unhashed)) + unhashed + digest[:2]
        + _number(signed[:32]) + _number(signed[32:])
    )  # fmt: skip


def _hashed_key(body: bytes) -> bytes:
    return b"\x99" + struct.pack(">H", len(body)) + body


def _number(text: bytes) -> bytes:
    text = text.lstrip(b"\0")
    return struct.pack(">H", (len(text) - 1) * 8 + text[0].bit_length()) + text


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 255]) + struct.pack(">I", len(body)) + body
