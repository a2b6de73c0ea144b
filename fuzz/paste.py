"""Text pasted into `trex respond`, and the prompt that ssh passes on from a server."""

from __future__ import annotations

import re
from base64 import b64encode

from trex.cli.client.paste import BEGIN, MAX_MESSAGE, MAX_TEXT, find_message, holds_message
from trex.cli.client.target import split_prompt
from trex.cli.errors import PasteError
from trex.cli.tell import printable

HEAD, TAIL = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"
ENDS = ("\n", "\r\n", "\r", "\n\n", "\r\n| ", "\n> ", "\n>> ", "\n | > ")
WIDTHS = (64, 76, 1, 7)
MOST_WRAPPED = 25  # of the data; more takes time and shows nothing new
AROUND = (
    "",
    "(alice@web) \nTrex: to log in as alice, decrypt this message.\n",
    "\x1b[2J\0\n",
    "x ",
)


def check(data: bytes) -> None:
    """One whole message that is in the text, or an error that is safe for a terminal.

    And whatever is wrapped as a server, a mail program or a terminal does it is found again.
    """
    text = data.decode("utf-8", "replace")
    check_prompt(text)
    try:
        message = find_message(text)
    except PasteError as error:
        assert re.fullmatch(r"[ -~]{1,100}", str(error)), "nothing of what was pasted"
        assert re.fullmatch(r"[ -~]{1,100}", error.hint)
    else:
        assert len(text) <= MAX_TEXT
        check_message(message, text)
    check_wrapped(data)


def check_message(message: bytes, text: str) -> None:
    """Check independently that these bytes are between a first and a last line."""
    assert 1 <= len(message) <= MAX_MESSAGE
    assert holds_message(text)
    signs = re.sub(r"[\s|>]", "", text)
    first, last = signs.index(HEAD.replace(" ", "")), signs.rindex(TAIL.replace(" ", ""))
    whole = b64encode(message).decode("ascii").rstrip("=")
    # The last character may carry bits that mean nothing.
    assert whole[:-1] in signs[first:last]


def check_prompt(text: str) -> None:
    """Check that the server's words are not taken for ssh's own."""
    shown = printable(text)
    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)
    asked = split_prompt(text)
    if asked:
        user, host, question = asked
        assert user
        assert host or text.partition(") ")[0].endswith("@.")
        assert ") " not in f"{user}@{host}"
        assert text.endswith(f") {question}")
        assert text[: len(text) - len(question)].count(") ") == 1, "the first is ssh's"
        assert text.lower().startswith(f"({user.lower()}@")


def check_wrapped(data: bytes) -> None:
    """Armor the data itself (RFC 4880, 6.2), alter it in harmless ways, and read it."""
    choice, message = data[0] if data else 0, data[1:MOST_WRAPPED]
    if not message:
        return
    around, end, width = AROUND[choice & 3], ENDS[choice >> 2 & 7], WIDTHS[choice >> 5 & 3]
    body = b64encode(message).decode("ascii")
    lines = [HEAD, "Comment: a header", "", *(re.findall(f".{{1,{width}}}", body))]
    sum24 = f"={b64encode(checksum(message)).decode('ascii')}"
    if choice >> 7:
        lines[1:3] = [""]
    pasted = f"{around}{end}{end.join([*lines, sum24, TAIL])}{end}{around}"
    assert find_message(pasted) == message
    if choice & 8:
        assert find_message(f"{pasted}\n{pasted}") == message, "twice the same is once"
    spoilt = (
        pasted.replace(TAIL, ""),
        pasted.replace(sum24, f"={b64encode(checksum(message + b'x')).decode('ascii')}"),
        pasted + end.join([HEAD, "", b64encode(message + b"x").decode("ascii"), TAIL]),
    )[len(message) % 3]
    try:
        find_message(spoilt)
    except PasteError:
        return
    raise AssertionError("a message that is not whole, or not the only one")


def checksum(message: bytes) -> bytes:
    """Return the CRC-24 of RFC 4880, 6.1, as a division of one long number."""
    number = int.from_bytes(b"\xb7\x04\xce", "big") << 8 * len(message)
    number ^= int.from_bytes(message, "big") << 24
    for place in range(number.bit_length() - 1, 23, -1):
        if number >> place & 1:
            number ^= 0x1864CFB << place - 24
    return number.to_bytes(3, "big")


assert BEGIN.fullmatch(HEAD)
