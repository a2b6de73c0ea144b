"""The message in what people paste."""

from __future__ import annotations

import base64
import re
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trex.cli.client.packets import read_packets
from trex.cli.client.paste import MAX_MESSAGE, MAX_TEXT, find_message, find_messages, holds_message
from trex.cli.errors import PasteError, Refused

MESSAGE = bytes(range(256)) + b"\x84\x5e"
CRC = "=I5tt"  # gpg's, by `gpg --enarmor`
QUOTES = ["", "> ", "| ", ">> ", "> > ", "   ", "\t", ">"]


def armor(message: bytes = MESSAGE, crc: str = CRC, headers: str = "") -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(message).decode(), 64))
    crc = f"{crc}\n" if crc else ""
    return f"-----BEGIN PGP MESSAGE-----\n{headers}\n{body}\n{crc}-----END PGP MESSAGE-----\n"


PASTES = {
    "as it is": armor(),
    "without a checksum": armor(crc=""),
    "without the empty line": armor().replace("\n\n", "\n"),
    "with headers": armor(headers="Version: GnuPG v2\nComment: it is late\n"),
    "with headers and without the empty line": armor(headers="Version: 1\n").replace("\n\n", "\n"),
    "a whole prompt": f"(alice@server) \nTrex: to log in\n{armor()}You have 10 minutes.\nResponse: ",
    "a prompt on the same line": f"(alice@server) {armor()}Response: ",
    "the last line and the prompt in one": armor().rstrip() + "You have 10 minutes.",
    "PuTTY": "| Keyboard-interactive authentication prompts from server:\n"
             + "".join(f"| {line}\n" for line in armor().split("\n")) + "| Response: ",
    "a mail": "".join(f"> {line}\n" for line in armor().split("\n")),
    "Windows": armor().replace("\n", "\r\n"),
    "an old Macintosh": armor().replace("\n", "\r"),
    "blanks at the ends": armor().replace("\n", "  \t\n"),
    "empty lines between": armor().replace("\n", "\n\n"),
    "a byte order mark": "\ufeff" + armor(),
    "no-break spaces": armor().replace("\n", "\n\u00a0"),
    "a terminal of 40 columns": "\n".join(line[at : at + 40] for line in armor().split("\n")
                                          for at in range(0, len(line) or 1, 40)),
    "a terminal of 11 columns": "\n".join(line[at : at + 11] for line in armor().split("\n")
                                          for at in range(0, len(line) or 1, 11)),
    "twice the same": armor() + "\n$ \n" + armor().replace("\n", "\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("text", PASTES.values(), ids=PASTES)
def test_the_message_is_found(text: str) -> None:
    assert find_message(text) == MESSAGE
    assert holds_message(text)


def test_messages_of_several_people_are_found_in_their_order_and_each_once() -> None:
    other = MESSAGE[::-1]
    prompt = f"\nTrex: ...\nMessage 1 of 2:\n{armor()}Message 2 of 2:\n{armor(other, '')}"
    assert find_messages(prompt) == [MESSAGE, other]
    assert find_messages(prompt + prompt) == [MESSAGE, other]
    with pytest.raises(PasteError, match="cut off"):
        find_messages(prompt[:-30])


REFUSED = {
    "nothing": ("", "no OpenPGP message"),
    "something else": ("Password: ", "no OpenPGP message"),
    "a key": (armor().replace("MESSAGE", "PUBLIC KEY BLOCK"), "no OpenPGP message"),
    "the first half": (armor()[:200], "cut off"),
    "the second half": (armor()[200:], "no OpenPGP message"),
    "two": (armor() + armor(MESSAGE[::-1], ""), "2 messages"),
    "one and a half": (armor() + armor()[:200], "cut off"),
    "a line is missing": (re.sub(r"\n.{64}", "", armor(), count=1), "checksum"),
    "a character is missing": (armor().replace("AAEC", "AAE"), "missing"),
    "a character was changed": (armor().replace("AAEC", "AAED"), "checksum"),
    "something in between": (armor().replace("AAEC", "AA\x1b[2JEC"), "is not base64"),
    "nothing in between": (
        "-----BEGIN PGP MESSAGE-----\n\n-----END PGP MESSAGE-----",
        "not base64",
    ),
    "too long a message": (armor(b"x" * (MAX_MESSAGE + 1), ""), "32 KiB"),
    "too long a text": ("x" * (MAX_TEXT + 1), "256 KiB"),
}


@pytest.mark.parametrize(("text", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_whole_message_is_refused(text: str, why: str) -> None:
    with pytest.raises(PasteError, match=why):
        find_message(text)


@settings(deadline=None)  # the machine may be busy
@given(
    st.binary(min_size=1, max_size=3000), st.integers(8, 200), st.sampled_from(QUOTES),
    st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(),
)  # fmt: skip
def test_any_message_survives_any_terminal(
    message: bytes, columns: int, quote: str, line_end: str, noise: bool
) -> None:
    text = ("(alice@server) \n" if noise else "") + armor(message, "") + ("Response: " * noise)
    wrapped = [
        quote + line[at : at + columns]
        for line in text.split("\n") for at in range(0, len(line) or 1, columns)
    ]  # fmt: skip
    assert find_message(line_end.join(wrapped)) == message


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=3000))
def test_any_text_is_read_or_refused(text: str) -> None:
    for pasted in (text, armor() + text, text + armor(), armor().replace("AAEC", text)):
        try:
            assert isinstance(find_message(pasted), bytes)
        except PasteError:
            pass


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=300))
def test_any_bytes_are_packets_or_refused(message: bytes) -> None:
    for start in (b"", RECIPIENT + b"\xd2\x05", RECIPIENT + b"\xd2\xe3"):
        try:
            read_packets(start + message)
        except (PasteError, Refused):
            pass


SESSION_KEY = b"\x03ABCDEFGH\x12key"
RECIPIENT, ENCRYPTED = b"\x84\x0d" + SESSION_KEY, b"\xd2\x03abc"
RIGHT = {
    "old and new": RECIPIENT + ENCRYPTED,
    "several recipients": RECIPIENT * 16 + ENCRYPTED,
    "new": b"\xc1\x0d" + SESSION_KEY + ENCRYPTED,
    "GnuPG 2.4's": RECIPIENT + b"\xd4\x03abc",
    "in parts": RECIPIENT + b"\xd2\xe1ab\xe0c\x01d",
    "two octets of length": RECIPIENT + b"\xd2\xc0\x00" + bytes(192),
    "five octets of length": RECIPIENT + b"\xd2\xff\x00\x00\x00\x01x",
}
WRONG = {
    "nothing": b"",
    "no packet": b"hello",
    "for nobody": ENCRYPTED,
    "for seventeen": RECIPIENT * 17 + ENCRYPTED,
    "for a passphrase": b"\x8c\x02ab" + ENCRYPTED,
    "also for a passphrase": RECIPIENT + b"\xc3\x02ab" + ENCRYPTED,
    "without integrity protection": RECIPIENT + b"\xa4\x03abc",
    "signed only": b"\x90\x02ab\xcb\x01x\x88\x01x",
    "something behind": RECIPIENT + ENCRYPTED + b"\xcb\x01x",
    "a second": (RECIPIENT + ENCRYPTED) * 2,
    "a marker": b"\xca\x03PGP" + RECIPIENT + ENCRYPTED,
    "recipients only": RECIPIENT,
    "a hidden recipient": RECIPIENT + b"\x84\x0d\x03" + bytes(8) + b"\x12key" + ENCRYPTED,
    "a session key of version 6": b"\x84\x0d\x06" + SESSION_KEY[1:] + ENCRYPTED,
    "a session key without an id": b"\x84\x02\x03A" + ENCRYPTED,
}
CUT_OFF = {name: RIGHT[name][:-1] for name in RIGHT if name != "nothing"}


@pytest.mark.parametrize("message", RIGHT.values(), ids=RIGHT)
def test_what_trex_sends_passes(message: bytes) -> None:
    read_packets(message)


@pytest.mark.parametrize("message", WRONG.values(), ids=WRONG)
def test_nothing_else_reaches_gpg(message: bytes) -> None:
    with pytest.raises(Refused):
        read_packets(message)


@pytest.mark.parametrize("message", CUT_OFF.values(), ids=CUT_OFF)
def test_what_is_cut_off_does_not_reach_gpg(message: bytes) -> None:
    with pytest.raises(PasteError):
        read_packets(message)


FRAMINGS = {
    "one octet": b"\xd2\x03abc",
    "five octets": b"\xd2\xff\x00\x00\x00\x03abc",
    "in parts": b"\xd2\xe1ab\xe0c\x00",
}


@pytest.mark.parametrize("keys", [RECIPIENT, RECIPIENT * 3, b"\xc1\xff\0\0\0\x0d" + SESSION_KEY])
@pytest.mark.parametrize("body", FRAMINGS.values(), ids=FRAMINGS)
def test_a_challenge_is_the_same_however_it_is_framed(keys: bytes, body: bytes) -> None:
    plain, framed = read_packets(RECIPIENT + ENCRYPTED), read_packets(keys + body)
    assert framed.digest == plain.digest
    assert framed.for_keys(framed.ids) == plain.for_keys(plain.ids), "gpg gets it in one form"


def test_another_challenge_is_another() -> None:
    others = [RECIPIENT + b"\xd2\x03abd", RECIPIENT + b"\xd4\x03abc", RECIPIENT + b"\xd2\x04abc\0"]
    assert len({read_packets(one).digest for one in [RECIPIENT + ENCRYPTED, *others]}) == 4


def test_gpg_gets_the_session_keys_of_the_chosen_keys_only() -> None:
    other = b"\x84\x0d\x03abcdefgh\x12yek"
    sealed = read_packets(other + RECIPIENT + ENCRYPTED)
    assert sealed.ids == ["6162636465666768", "4142434445464748"]
    assert read_packets(sealed.for_keys(sealed.ids[1:])).session_keys == sealed.session_keys[1:]
    assert sealed.for_keys(iter(sealed.ids[1:])) == sealed.for_keys(sealed.ids[1:])
    assert b"yek" not in sealed.for_keys(sealed.ids[1:])
