"""The packet structure of an OpenPGP message from a server, before gpg reads it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from trex.cli.client.packets import read_packets
from trex.cli.errors import PasteError, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator


def check(data: bytes) -> None:
    """Accepted are one to sixteen keys and one encrypted part that ends where the message ends.

    What gpg gets of it says the same, however the server has framed it.
    """
    packets = split(data)
    try:
        sealed = read_packets(data)
    except (PasteError, Refused) as error:
        assert packets is None or not is_right(packets)
        assert f"{error}{error.hint}".isprintable()
        assert len(f"{error}{error.hint}") < 200
        return
    assert packets is not None
    assert is_right(packets)
    rebuilt = sealed.for_keys(sealed.ids)
    again = read_packets(rebuilt)
    assert (again.ids, again.digest) == (sealed.ids, sealed.digest)
    assert again.for_keys(again.ids) == rebuilt
    assert split(rebuilt) == [*dict.fromkeys(packets[:-1]), packets[-1]]
    assert [tag for tag, _ in split(sealed.for_keys(sealed.ids[:1])) or []][-1] in (18, 20)


def is_right(packets: list[tuple[int, bytes]]) -> bool:
    """Tell whether these are one to sixteen session keys with ids, and an encrypted part."""
    *keys, last = packets or [(0, b"")]
    named = all(tag == 1 and body[:1] == b"\3" and len(body) > 9 and any(body[1:9])
                for tag, body in keys)  # fmt: skip
    return named and 1 <= len(keys) <= 16 and last[0] in (18, 20)


def split(data: bytes) -> list[tuple[int, bytes]] | None:
    """Return the packets' tags and bodies (RFC 4880, 4.2), None for an incomplete sequence."""
    octets = iter(data)
    packets = []
    for first in octets:
        if first < 0x80:
            return None
        body = read_new(octets) if first & 0x40 else read_old(octets, first & 3)
        if body is None:
            return None
        packets.append((first & 0x3F if first & 0x40 else first >> 2 & 0xF, body))
    return packets


def read_old(octets: Iterator[int], kind: int) -> bytes | None:
    """Read a body whose length has one, two or four octets, or is unknown (4.2.1)."""
    if kind == 3:
        return bytes(octets)
    size = take(octets, 1 << kind)
    return None if size is None else take(octets, int.from_bytes(size, "big"))


def read_new(octets: Iterator[int]) -> bytes | None:
    """Read a body that may come in parts (4.2.2)."""
    parts = b""
    for first in octets:
        if first < 192:
            last = take(octets, first)
            return None if last is None else parts + last
        if first < 224:
            second = next(octets, None)
            last = second if second is None else take(octets, 192 + 256 * (first - 192) + second)
            return None if last is None else parts + last
        if first == 255:
            size = take(octets, 4)
            last = None if size is None else take(octets, int.from_bytes(size, "big"))
            return None if last is None else parts + last
        part = take(octets, 2 ** (first - 224))
        if part is None:
            return None
        parts += part
    return None


def take(octets: Iterator[int], count: int) -> bytes | None:
    """Return `count` octets, None if there are fewer."""
    taken = bytes(islice(octets, count))
    return taken if len(taken) == count else None
