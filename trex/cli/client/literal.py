"""The content of a message that nobody has signed: one text with its name (RFC 4880, 5.6 and 5.9).

Exactly what Trex's gpg makes of a challenge, compressed or not. Everything else is for gpg: see
`trex.cli.client.signature`.
"""

from __future__ import annotations

import zlib

from trex.cli.client.gpg import Decrypted
from trex.cli.client.packets import next_packet
from trex.cli.errors import Refused
from trex.openpgp.prompt import encoded

COMPRESSED, LITERAL = 8, 11  # packet tags
WINDOWS = {1: -15, 2: 15}  # of ZIP and ZLIB: raw, and with a header (zlib's `wbits`)
MOST = 1024  # bytes of a challenge with its name
BINARY, DATE = b"b", 4  # the format of the text, and bytes of its date


def read_literal(content: bytes) -> Decrypted | None:
    """Return the text, with gpg's status line about its name; None for any other content."""
    try:
        tag, body = _only_packet(content)
        if tag == COMPRESSED:
            tag, body = _only_packet(_decompressed(body))
    except (IndexError, Refused, ValueError, zlib.error):
        return None
    if tag != LITERAL or not body.startswith(BINARY):
        return None
    start = 2 + body[1] if len(body) > 1 else len(body)
    if len(body) < start + DATE:
        return None
    try:
        name = body[2:start].decode("ascii")
    except UnicodeDecodeError:
        return None
    line = f"[GNUPG:] PLAINTEXT 62 0 {encoded(name)}\n"
    return Decrypted(body[start + DATE :], line.encode("ascii"))


def _only_packet(content: bytes) -> tuple[int, bytes]:
    """Return tag and body of the one packet. Raises IndexError, Refused, or ValueError for more."""
    tag, body, end = next_packet(content, 0)
    if end != len(content):
        raise ValueError(end)
    return tag, body


def _decompressed(body: bytes) -> bytes:
    """Return what is compressed. Raises zlib.error, or ValueError for another algorithm or size."""
    stream = zlib.decompressobj(WINDOWS.get(body[0], 0))
    content = stream.decompress(body[1:], MOST)
    if body[0] not in WINDOWS or not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise ValueError(body[0])
    return content
