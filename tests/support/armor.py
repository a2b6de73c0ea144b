"""Messages as a server may send them: armored, and framed in any way that RFC 4880 allows."""

from __future__ import annotations

import base64
import textwrap
from typing import TYPE_CHECKING

from trex.cli.client.packets import read_packets
from trex.cli.client.paste import find_message

if TYPE_CHECKING:
    from trex.cli.client.packets import Sealed

PART = 128  # octets


def armored(message: bytes) -> str:
    lines = "\n".join(textwrap.wrap(base64.b64encode(message).decode(), 64))
    return f"-----BEGIN PGP MESSAGE-----\n\n{lines}\n-----END PGP MESSAGE-----\n"


def sealed(text: str) -> Sealed:
    return read_packets(find_message(text))


def framings(text: str) -> dict[str, str]:
    """Return the same challenge in other messages: nobody needs a key to make them."""
    message = sealed(text)
    keys = b"".join(b"\xc1" + five(body) for _, body in message.session_keys)
    old = b"".join(
        b"\x85" + len(body).to_bytes(2, "big") + body for _, body in message.session_keys
    )
    head, body = bytes([0xC0 | message.tag]), message.body
    assert len(body) >= PART
    parts = bytes([0xE0 | PART.bit_length() - 1]) + body[:PART] + five(body[PART:])
    return {
        "lengths of five octets": armored(keys + head + five(body)),
        "old lengths": armored(old + head + five(body)),
        "in parts": armored(keys + head + parts),
        "session keys twice": armored(keys + keys + head + five(body)),
        "a key that is nobody's": armored(
            b"\xc1" + five(b"\x03UNKNOWN!" + message.session_keys[0][1][9:]) + keys + head + five(body)
        ),
    }  # fmt: skip


def five(body: bytes) -> bytes:
    return b"\xff" + len(body).to_bytes(4, "big") + body
