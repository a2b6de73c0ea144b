"""The outside of an OpenPGP message, before gpg sees it (RFC 4880, 4.2 and 11.3).

Trex sends keys for its recipients and then one encrypted part, nothing else. All that gpg would
do with more than that stays undone: ask for the passphrase of a message that a server has
encrypted with one, show what is not encrypted, read a second message.
"""

from __future__ import annotations

from trex.cli.errors import PasteError, Refused
from trex.cli.paste import AGAIN

SESSION_KEY = 1  # for a recipient
ENCRYPTED = (18, 20)  # with integrity protection; 20 is GnuPG's own, from 2.4 on
MAX_RECIPIENTS = 16
NEW_FORMAT, OLD_FORMAT = 0xC0, 0x80
TO_THE_END = 3
# Where the first octet of a new length begins to mean two octets, a part, and five (4.2.2).
TWO_OCTETS, PARTIAL, FIVE_OCTETS = 192, 224, 255


def check_packets(message: bytes) -> None:
    """Check that `message` is what Trex sends, as far as it is not encrypted.

    Raises PasteError for one that is cut off, and Refused for one of another kind.
    """
    tags = []
    place = 0
    try:
        while place < len(message):
            tag, place = _next_packet(message, place)
            tags.append(tag)
    except IndexError:
        raise PasteError("the message is cut off", AGAIN) from None
    *recipients, last = tags or [0]
    expected = last in ENCRYPTED and recipients == [SESSION_KEY] * len(recipients)
    if not expected or not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise Refused("this is no message that Trex sends: not just encrypted to keys")


def _next_packet(message: bytes, start: int) -> tuple[int, int]:
    """Return the tag of the packet at `start`, and where the next begins. Raises IndexError."""
    first = message[start]
    if first & NEW_FORMAT == NEW_FORMAT:
        return first & 0x3F, _after_new(message, start + 1)
    if first & OLD_FORMAT:
        return first >> 2 & 0x0F, _after_old(message, start + 1, first & 3)
    raise Refused("this is no OpenPGP message")


def _after_new(message: bytes, place: int) -> int:
    while True:
        first = message[place]
        if first < TWO_OCTETS:
            return _inside(message, place + 1 + first)
        if first < PARTIAL:
            length = (first - TWO_OCTETS << 8) + message[place + 1] + TWO_OCTETS
            return _inside(message, place + 2 + length)
        if first == FIVE_OCTETS:
            _inside(message, place + 5)
            length = int.from_bytes(message[place + 1 : place + 5], "big")
            return _inside(message, place + 5 + length)
        place += 1 + (1 << (first & 0x1F))  # a part, and another length after it


def _after_old(message: bytes, place: int, length_type: int) -> int:
    if length_type == TO_THE_END:
        return len(message)
    size = 1 << length_type
    _inside(message, place + size)
    return _inside(message, place + size + int.from_bytes(message[place : place + size], "big"))


def _inside(message: bytes, place: int) -> int:
    if place > len(message):
        raise IndexError(place)
    return place
