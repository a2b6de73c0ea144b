"""A message's armor exactly as Trex's gpg writes it (RFC 4880, 6.2); `paste` takes all others.

`paste` needs regular expressions, which take 6 ms to import and 4 to compile: `trex ssh` gets its
messages as they were sent.
"""

from __future__ import annotations

import binascii

BEGIN, END = "-----BEGIN PGP MESSAGE-----\n\n", "\n-----END PGP MESSAGE-----\n"
MARK = "-----"
CRC_INIT, CRC_POLYNOMIAL = 0xB704CE, 0x1864CFB  # RFC 4880, 6.1
CRC = 5  # characters of the checksum: `=`, and three octets
LONGEST = 40_000  # characters; a message has 32 KiB at most
AGAIN = "copy it from -----BEGIN PGP MESSAGE----- to -----END PGP MESSAGE-----, both included"


def plain_message(text: str) -> bytes | None:
    """Return the only message in `text`, None for no such message, or one in any other form."""
    _, begin, rest = text.partition(BEGIN)
    armored, end, _ = rest.partition(END)
    if not begin or not end or text.count(MARK) != 4 or len(armored) > LONGEST:  # noqa: PLR2004 (two lines)
        return None
    *lines, last = armored.split("\n")
    if not lines or len(last) != CRC or not last.startswith("="):
        return None
    try:
        message = binascii.a2b_base64("".join(lines), strict_mode=True)
        told = binascii.a2b_base64(last[1:], strict_mode=True)
    except ValueError:  # binascii's own, or a character that is not ASCII
        return None
    return message if told == checksum(message) else None


def checksum(message: bytes) -> bytes:
    """Return the CRC-24 that armor ends with."""
    crc = CRC_INIT
    for byte in message:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= CRC_POLYNOMIAL
    return crc.to_bytes(3, "big")
