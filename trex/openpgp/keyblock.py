"""OpenPGP packets: the fingerprints in a key block, and the key ids that a message is for.

Signatures are not checked here: gpg does that. Formats: RFC 4880, sections 4.2, 5.1, 5.5, 6.2, 11.1
and 12.2; version 5 keys: draft-koch-librepgp; version 6 keys: RFC 9580.
"""

import binascii
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SESSION_KEY, PUBLIC_KEY, PUBLIC_SUBKEY = 1, 6, 14
SECRET = (5, 7)  # a secret key and a secret subkey
ENCRYPTED = (18, 20)  # with integrity protection; 20 is GnuPG's own, from 2.3 on
V4, V5, V6 = 4, 5, 6
V3_SESSION_KEY = b"\x03"  # the only version that gpg writes
KEY_ID_BYTES = 8
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
NEW_FORMAT = 0xC0
BEGIN_KEY, END_KEY = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"


class Malformed(ValueError):
    """These are not the expected packets; the message says what was found."""


class Block:
    """A public key with its subkeys and signatures; fingerprints are capital hex digits."""

    __slots__ = ("_packets", "algorithms", "fingerprint", "subkeys", "version")

    def __init__(self, body: bytes, whole: bytes) -> None:
        self.fingerprint = fingerprint(body)
        self.version = body[0]
        self.algorithms = [_algorithm(body)]  # the numbers of RFC 9580, 9.1; the primary's first
        self.subkeys: list[str] = []
        self._packets: list[tuple[str, bytes]] = [("", whole)]  # each with the subkey it is about

    def add(self, tag: int, body: bytes, whole: bytes) -> None:
        """Append a packet; a signature after a subkey is about that subkey."""
        about = self._packets[-1][0]
        if tag == PUBLIC_SUBKEY:
            about = fingerprint(body)
            self.subkeys.append(about)
            self.algorithms.append(_algorithm(body))
        self._packets.append((about, whole))

    def raw(self, without: frozenset[str] = frozenset()) -> bytes:
        """Return the block as bytes, without the subkeys that have these fingerprints."""
        return b"".join(whole for about, whole in self._packets if about not in without)


def blocks(content: bytes) -> list[Block]:
    """Return the public keys in `content`, binary or armored. Raises Malformed."""
    found: list[Block] = []
    for tag, body, whole in packets(dearmored(content)):
        if tag in SECRET:
            raise Malformed("a secret key")
        if tag == PUBLIC_KEY:
            found.append(Block(body, whole))
        elif found:
            found[-1].add(tag, body, whole)
        else:
            raise Malformed("something else than a public key")
    if not found:
        raise Malformed("no OpenPGP public key")
    return found


def fingerprint(body: bytes) -> str:
    """Return the fingerprint of a key packet's body. Raises Malformed for an unknown version."""
    version = body[0] if body else 0
    if version == V4:
        return _digest("_sha1", "sha1", b"\x99" + len(body).to_bytes(2, "big") + body)
    if version in (V5, V6):
        mark = b"\x9a" if version == V5 else b"\x9b"
        module = "_sha256" if sys.version_info < (3, 12) else "_sha2"
        return _digest(module, "sha256", mark + len(body).to_bytes(4, "big") + body)
    raise Malformed(f"a key of version {version}")


def _algorithm(body: bytes) -> int:
    """Return the number after the version and four octets of time (RFC 4880, 5.5.2)."""
    return body[5] if len(body) > 5 else 0  # noqa: PLR2004


def key_id(full: str) -> str:
    """Return the 16 hex digits by which a message names the key with this fingerprint."""
    return full[-16:] if len(full) == len("4" * 40) else full[:16]


def session_key_ids(armored: str) -> list[str]:
    """Return the key ids that a message is encrypted to, in capital hex digits.

    Raises Malformed unless the message is session keys for public keys, followed by one encrypted
    part.
    """
    *keys, (last, _) = [
        (tag, body) for tag, body, _ in packets(_body(armored.encode("ascii", "replace")))
    ] or [(0, b"")]
    if last not in ENCRYPTED or not all(map(_is_session_key, keys)):
        raise Malformed("a message that is not just encrypted to keys")
    return [body[1 : 1 + KEY_ID_BYTES].hex().upper() for _, body in keys]


def _is_session_key(packet: tuple[int, bytes]) -> bool:
    tag, body = packet
    return tag == SESSION_KEY and body.startswith(V3_SESSION_KEY) and len(body) > KEY_ID_BYTES


def dearmored(content: bytes) -> bytes:
    """Return the packets of all armored public keys; binary packets are returned unchanged."""
    if content[:1] >= b"\x80" and not content.startswith(BYTE_ORDER_MARKS):
        return content
    inside = []
    rest = content
    while BEGIN_KEY in rest:
        armor, end, rest = rest.partition(BEGIN_KEY)[2].partition(END_KEY)
        if not end:
            raise Malformed("an armored key without its end")
        inside.append(_body(armor))
    return b"".join(inside)


def packets(content: bytes) -> "Iterator[tuple[int, bytes, bytes]]":
    """Yield the tag, the body and the whole of each packet. Raises Malformed."""
    position = 0
    while position < len(content):
        tag, start, end = _header(content, position)
        if end > len(content):
            raise Malformed("a packet that is cut off")
        yield tag, content[start:end], content[position:end]
        position = end


def _header(content: bytes, position: int) -> tuple[int, int, int]:
    """Return a packet's tag, and where its body starts and ends."""
    first, lengths = content[position], content[position + 1 : position + 6].ljust(5, b"\0")
    if first & NEW_FORMAT == NEW_FORMAT:
        if lengths[0] < 192:  # noqa: PLR2004 (4.2.2 has these numbers)
            start, length = position + 2, lengths[0]
        elif lengths[0] < 224:  # noqa: PLR2004
            start, length = position + 3, (lengths[0] - 192 << 8) + lengths[1] + 192
        elif lengths[0] == 255:  # noqa: PLR2004
            start, length = position + 6, int.from_bytes(lengths[1:5], "big")
        else:
            raise Malformed("a packet in parts")
        return first & 0x3F, start, start + length
    if not first & 0x80 or first & 3 == 3:  # noqa: PLR2004
        raise Malformed("no OpenPGP packet")
    size = 1 << (first & 3)
    start = position + 1 + size
    return first >> 2 & 0x0F, start, start + int.from_bytes(lengths[:size], "big")


def _body(armor: bytes) -> bytes:
    """Return the decoded base64 lines of an armor, after the blank line and before the checksum."""
    lines = armor.replace(b"\r", b"").split(b"\n")
    try:
        start = [bool(line.strip()) for line in lines].index(False, 1) + 1
        text = [
            line for line in lines[start:] if line.strip() and not line.startswith((b"=", b"-"))
        ]
        return binascii.a2b_base64(b"".join(text))
    except (ValueError, binascii.Error):
        raise Malformed("an armor that cannot be read") from None


def _digest(module: str, name: str, text: bytes) -> str:
    """Return a digest in capital hex digits: without hashlib, which loads libcrypto, 4 ms."""
    digest: str = getattr(__import__(module), name)(text).hexdigest()
    return digest.upper()
