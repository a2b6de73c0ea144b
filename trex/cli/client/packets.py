"""The packets of an OpenPGP message, checked before gpg sees it (RFC 4880, 4.2, 5.1 and 11.3).

Trex sends session keys for its recipients, then one encrypted packet, and nothing else. So gpg
never gets to ask for the passphrase of a message that a server has encrypted with one, to show data
that is not encrypted, or to read a second message.
"""

from __future__ import annotations

import sys

from trex.cli.client.armor import AGAIN, plain_message
from trex.cli.errors import PasteError, Refused
from trex.openpgp.record import MOST_PEOPLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SESSION_KEY = 1  # a public-key encrypted session key, for one recipient
ENCRYPTED = (18, 20)  # with integrity protection; 20 is GnuPG's own, since 2.4
MAX_RECIPIENTS = 16
VERSION, ID_BYTES = b"\x03", 8  # of a session key; gpg knows no other version (5.1)
NOBODY = "0" * 16  # a hidden recipient: gpg would try all its keys
NEW_FORMAT, OLD_FORMAT = 0xC0, 0x80
TO_THE_END = 3
# From these values on, the first octet of a new-format length means two octets, a partial length,
# and five octets (4.2.2).
TWO_OCTETS, PARTIAL, FIVE_OCTETS = 192, 224, 255


class Sealed:
    """A message of Trex's form: session keys, each with the id of its key, and an encrypted part.

    Ids have 16 capital hex digits; the bodies do not include the framing that a server chose.
    """

    __slots__ = ("body", "session_keys", "tag")

    def __init__(self, session_keys: tuple[tuple[str, bytes], ...], tag: int, body: bytes) -> None:
        self.session_keys = session_keys
        self.tag = tag
        self.body = body

    @property
    def ids(self) -> list[str]:
        """The ids of the keys that the message names as its recipients."""
        return list(dict.fromkeys(key_id for key_id, _ in self.session_keys))

    @property
    def digest(self) -> str:
        """The identity of the challenge inside, in hex digits.

        Session keys and framing can be changed without the secret key, and the challenge stays the
        same. The encrypted part cannot: its MDC, or its AEAD tags, cover every octet of it.
        """
        # without hashlib, which loads libcrypto
        module = __import__("_sha256" if sys.version_info < (3, 12) else "_sha2")
        digest: str = module.sha256(bytes([self.tag]) + self.body).hexdigest()
        return digest

    def for_keys(self, ids: Iterable[str]) -> bytes:
        """Return the message for the keys with these ids alone: gpg can try no other key."""
        wanted = frozenset(ids)
        kept = dict.fromkeys(packet for packet in self.session_keys if packet[0] in wanted)
        parts = [_framed(SESSION_KEY, body) for _, body in kept]
        return b"".join([*parts, _framed(self.tag, self.body)])


def read_message(text: str) -> Sealed:
    """Return the packets of the message in `text`. Raises PasteError or Refused."""
    message = plain_message(text)
    if message is None:
        from trex.cli.client.paste import find_message  # regular expressions

        message = find_message(text)
    return read_packets(message)


def read_messages(text: str) -> list[Sealed]:
    """Return the packets of each message: a login of two people has one for each key.

    Raises PasteError or Refused.
    """
    message = plain_message(text)
    if message is not None:
        return [read_packets(message)]
    from trex.cli.client.paste import find_messages  # regular expressions

    found = find_messages(text)
    if len(found) > MOST_PEOPLE:
        raise PasteError(f"there are {len(found)} messages in this text", "paste one of them")
    return list(map(read_packets, found))


def read_packets(message: bytes) -> Sealed:
    """Return the packets of `message`.

    Raises PasteError for one that is cut off, Refused for one of another form than Trex sends.
    """
    packets = []
    position = 0
    try:
        while position < len(message):
            tag, body, position = next_packet(message, position)
            packets.append((tag, body))
    except IndexError:
        raise PasteError("the message is cut off", AGAIN) from None
    *recipients, (last, encrypted) = packets or [(0, b"")]
    expected = last in ENCRYPTED and {tag for tag, _ in recipients} == {SESSION_KEY}
    if not expected or len(recipients) > MAX_RECIPIENTS:
        raise Refused("Trex does not send such a message: it is not just encrypted to keys")
    return Sealed(tuple((_key_id(body), body) for _, body in recipients), last, encrypted)


def _key_id(body: bytes) -> str:
    """Return the key id that a session key is for. Raises Refused if it has none."""
    key_id = body[1 : 1 + ID_BYTES].hex().upper()
    if not body.startswith(VERSION) or len(body) <= 1 + ID_BYTES:
        raise Refused("Trex does not send such a message: its session key is not of version 3")
    if key_id == NOBODY:
        raise Refused("Trex does not send such a message: it does not say for which key it is")
    return key_id


def _framed(tag: int, body: bytes) -> bytes:
    return bytes([NEW_FORMAT | tag, FIVE_OCTETS]) + len(body).to_bytes(4, "big") + body


def next_packet(message: bytes, start: int) -> tuple[int, bytes, int]:
    """Return tag and body of the packet at `start`, and where the next begins.

    Raises IndexError.
    """
    first = message[start]
    if first & NEW_FORMAT == NEW_FORMAT:
        return first & 0x3F, *_new_body(message, start + 1)
    if first & OLD_FORMAT:
        return first >> 2 & 0x0F, *_old_body(message, start + 1, first & 3)
    raise Refused("this is not an OpenPGP message")


def _new_body(message: bytes, position: int) -> tuple[bytes, int]:
    parts = b""
    while True:
        first = message[position]
        if first < TWO_OCTETS:
            body, position = _inside(message, position + 1, first)
        elif first < PARTIAL:
            length = (first - TWO_OCTETS << 8) + message[position + 1] + TWO_OCTETS
            body, position = _inside(message, position + 2, length)
        elif first == FIVE_OCTETS:
            octets, position = _inside(message, position + 1, 4)
            body, position = _inside(message, position, int.from_bytes(octets, "big"))
        else:
            body, position = _inside(message, position + 1, 1 << (first & 0x1F))
        parts += body
        if not PARTIAL <= first < FIVE_OCTETS:  # not a partial length, which another one follows
            return parts, position


def _old_body(message: bytes, position: int, length_type: int) -> tuple[bytes, int]:
    if length_type == TO_THE_END:
        return message[position:], len(message)
    octets, position = _inside(message, position, 1 << length_type)
    return _inside(message, position, int.from_bytes(octets, "big"))


def _inside(message: bytes, start: int, length: int) -> tuple[bytes, int]:
    """Return `length` octets from `start` on, and where they end. Raises IndexError."""
    if start + length > len(message):
        raise IndexError(start + length)
    return message[start : start + length], start + length
