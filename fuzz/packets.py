"""The outside of an OpenPGP message that a server has sent, before gpg sees it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from trex.cli.errors import PasteError, Refused
from trex.cli.packets import check_packets

if TYPE_CHECKING:
    from collections.abc import Iterator


def check(data: bytes) -> None:
    """Accepted are one to sixteen keys and one encrypted part that ends where the message ends."""
    tags = read_tags(data)
    right = tags is not None and 2 <= len(tags) <= 17 and set(tags[:-1]) == {1}
    right = right and tags is not None and tags[-1] in (18, 20)
    try:
        check_packets(data)
    except (PasteError, Refused) as error:
        assert not right
        assert f"{error}{error.hint}".isprintable()
        assert len(f"{error}{error.hint}") < 200
        return
    assert right


def read_tags(data: bytes) -> list[int] | None:
    """Return the packets' tags (RFC 4880, 4.2), None for what is no sequence of whole packets."""
    octets = iter(data)
    tags = []
    for first in octets:
        if first < 0x80:
            return None
        tags.append(first & 0x3F if first & 0x40 else first >> 2 & 0xF)
        if not (skip_new(octets) if first & 0x40 else skip_old(octets, first & 3)):
            return None
    return tags


def skip_old(octets: Iterator[int], kind: int) -> bool:
    """Read over a body whose length has one, two or four octets, or is unknown (4.2.1)."""
    if kind == 3:
        return all(octet >= 0 for octet in octets)
    size = list(islice(octets, 1 << kind))
    return len(size) == 1 << kind and skip(octets, int.from_bytes(size, "big"))


def skip_new(octets: Iterator[int]) -> bool:
    """Read over a body that may come in parts (4.2.2)."""
    for first in octets:
        if first < 192:
            return skip(octets, first)
        if first < 224:
            second = next(octets, None)
            return second is not None and skip(octets, 192 + 256 * (first - 192) + second)
        if first == 255:
            size = list(islice(octets, 4))
            return len(size) == 4 and skip(octets, int.from_bytes(size, "big"))
        if not skip(octets, 2 ** (first - 224)):
            return False
    return False


def skip(octets: Iterator[int], count: int) -> bool:
    """Tell whether there were so many octets more."""
    return sum(1 for _ in islice(octets, count)) == count
