"""Public keys by the thousand, written as OpenPGP packets (RFC 4880): gpg takes 30 ms for each."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC_KEY, USER_ID, SUBKEY, SIGNATURE = 6, 13, 14, 2
EDDSA, ECDH, SHA256 = 22, 18, 8
ED25519_OID = bytes.fromhex("092b06010401da470f01")
CURVE25519_OID = bytes.fromhex("0a2b060104019755010501")
KDF = bytes.fromhex("03010807")  # SHA-256, AES-128
CERTIFICATION, BINDING = 0x13, 0x18
CERTIFY_AND_SIGN, ENCRYPT = 0x03, 0x0C
# What a keybox begins with; kbxutil leaves it out (kbx/keybox-blob.c in GnuPG's source).
HEADER = struct.pack(">IBBH4s4xII8x", 32, 1, 1, 2, b"KBXf", 1_700_000_000, 1_700_000_000)
CREATED = struct.pack(">I", 1_700_000_000)


def public_key(address: str) -> bytes:
    """Return a transferable public key, ed25519 with a cv25519 subkey, for one address."""
    signer, receiver = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    primary = _key(EDDSA, ED25519_OID, _raw(signer))
    subkey = _key(ECDH, CURVE25519_OID, _raw(receiver)) + KDF
    name = address.encode()
    certified = _hashed(primary) + b"\xb4" + struct.pack(">I", len(name)) + name
    bound = _hashed(primary) + _hashed(subkey)
    return b"".join((
        _packet(PUBLIC_KEY, primary),
        _packet(USER_ID, name),
        _signature(signer, primary, CERTIFICATION, CERTIFY_AND_SIGN, certified),
        _packet(SUBKEY, subkey),
        _signature(signer, primary, BINDING, ENCRYPT, bound),
    ))  # fmt: skip


def keybox(path: Path, keys: bytes) -> None:
    """Write keys into a keybox, as gpg has it; kbxutil adds each without copying the rest."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(keys)
    made = subprocess.run(["kbxutil", "--import-openpgp", raw], check=True, capture_output=True)
    path.write_bytes(HEADER + made.stdout)
    raw.unlink()


def _raw(private: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _key(algorithm: int, oid: bytes, point: bytes) -> bytes:
    return b"\x04" + CREATED + bytes([algorithm]) + oid + _mpi(b"\x40" + point)


def _mpi(number: bytes) -> bytes:
    number = number.lstrip(b"\0")
    return struct.pack(">H", int.from_bytes(number, "big").bit_length()) + number


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag]) + b"\xff" + struct.pack(">I", len(body)) + body


def _hashed(key: bytes) -> bytes:
    return b"\x99" + struct.pack(">H", len(key)) + key


def _signature(signer: Ed25519PrivateKey, key: bytes, kind: int, flags: int, over: bytes) -> bytes:
    fingerprint = hashlib.sha1(_hashed(key), usedforsecurity=False).digest()
    subpackets = b"\x05\x02" + CREATED + bytes([2, 27, flags]) + b"\x16\x21\x04" + fingerprint
    head = bytes([4, kind, EDDSA, SHA256]) + struct.pack(">H", len(subpackets)) + subpackets
    digest = hashlib.sha256(over + head + b"\x04\xff" + struct.pack(">I", len(head))).digest()
    r_and_s = signer.sign(digest)
    issuer = b"\x09\x10" + fingerprint[-8:]
    return _packet(SIGNATURE, head + struct.pack(">H", len(issuer)) + issuer + digest[:2]
                   + _mpi(r_and_s[:32]) + _mpi(r_and_s[32:]))  # fmt: skip
