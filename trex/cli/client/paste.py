"""The armored message in a pasted text, or one for each person (RFC 4880, 6.2)."""

from __future__ import annotations

import base64
import binascii
import re

from trex.cli.client.armor import AGAIN, checksum
from trex.cli.errors import PasteError

MAX_TEXT = 256 * 1024  # characters of pasted text
MAX_MESSAGE = 32 * 1024  # bytes; sixteen recipients with RSA-4096 and a signature need 12 kB

# What mail programs and PuTTY put before a line; no base64 begins like this.
MARKS = re.compile(r"^(?:\s*[>|])*\s*")
LINE_END = re.compile(r"\r\n|\r|\n")
HEADER = re.compile(r"[A-Za-z][A-Za-z-]*: ")
BODY = re.compile(r"([A-Za-z0-9+/]+={0,2})(?:=([A-Za-z0-9+/]{4}))?")


def _wrapped(line: str) -> re.Pattern[str]:
    """Return a pattern for a line that a narrow terminal may have wrapped anywhere."""
    return re.compile(r"\s*".join(re.escape(sign) for sign in line.replace(" ", "")))


BEGIN, END = _wrapped("-----BEGIN PGP MESSAGE-----"), _wrapped("-----END PGP MESSAGE-----")


def find_message(text: str) -> bytes:
    """Return the only message in `text`, as `find_messages`; PasteError if there are several."""
    messages = find_messages(text)
    if len(messages) > 1:
        raise PasteError(f"there are {len(messages)} messages in this text", "paste one of them")
    return messages[0]


def find_messages(text: str) -> list[bytes]:
    """Return the messages in `text` without their armor, in their order.

    There may be quoting marks before each line, and any text before and after a message; lines
    may be wrapped and have any line ends. A message that occurs twice counts once.
    Raises PasteError for no message, an incomplete one, and a damaged one.
    """
    if len(text) > MAX_TEXT:
        raise PasteError(f"more than {MAX_TEXT // 1024} KiB of text", AGAIN)
    plain = "\n".join(MARKS.sub("", line) for line in LINE_END.split(text))
    begins = list(BEGIN.finditer(plain))
    if not begins:
        raise PasteError("there is no OpenPGP message in this text", AGAIN)
    ends = [begin.start() for begin in begins[1:]] + [len(plain)]
    spans = zip(begins, ends, strict=True)
    return list(dict.fromkeys(_decode(plain[begin.end() : end]) for begin, end in spans))


def holds_message(text: str) -> bool:
    """Return whether a message begins in `text`, complete or not."""
    return bool(BEGIN.search(text))


def _decode(text: str) -> bytes:
    """Return the bytes between the first armor line and the last."""
    end = END.search(text)
    if not end:
        raise PasteError("the message is cut off: its last line is missing", AGAIN)
    lines = text[: end.start()].strip().split("\n")
    if HEADER.match(lines[0]):
        lines = lines[lines.index("") :] if "" in lines else _without_headers(lines)
    found = BODY.fullmatch("".join("".join(lines).split()))
    if not found:
        raise PasteError("the message is damaged: it contains something that is not base64", AGAIN)
    try:
        message = base64.b64decode(found[1], validate=True)
    except binascii.Error:
        raise PasteError("the message is damaged: characters are missing", AGAIN) from None
    if found[2] and base64.b64decode(found[2]) != checksum(message):
        raise PasteError("the message is damaged: its checksum is wrong", AGAIN)
    if len(message) > MAX_MESSAGE:
        raise PasteError(f"the message has more than {MAX_MESSAGE // 1024} KiB", AGAIN)
    return message


def _without_headers(lines: list[str]) -> list[str]:
    return [line for line in lines if not HEADER.match(line)]
