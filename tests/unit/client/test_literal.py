"""The text of an unsigned message: taken where it has exactly the form that gpg gives it."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.cli.client.literal import read_literal
from trex.cli.client.message import read_challenge
from trex.openpgp.keylist import parse_status
from trex.openpgp.prompt import context

TEXT = context("al ice%", "sshd", "2001:db8::1", 36000, ["A" * 16])
PLAINTEXT = b"hzA8vx2i2Y\n"
DECRYPTED = b"[GNUPG:] BEGIN_DECRYPTION\n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n"


def literal(name: bytes = TEXT.encode(), text: bytes = PLAINTEXT, mode: bytes = b"b") -> bytes:
    return packet(11, mode + bytes([len(name)]) + name + bytes(4) + text)


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def compressed(content: bytes, algorithm: int = 2, window: int = 15) -> bytes:
    """Return a compressed packet as gpg writes it: of old format, to the end."""
    stream = zlib.compressobj(9, zlib.DEFLATED, window)
    return b"\xa3" + bytes([algorithm]) + stream.compress(content) + stream.flush()


FORMS = {
    "as it is": literal(),
    "ZLIB": compressed(literal()),
    "ZIP": compressed(literal(), 1, -15),
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_what_gpg_makes_of_a_challenge_is_read(content: bytes) -> None:
    found = read_literal(content)
    assert found
    assert found.data == PLAINTEXT
    challenge = read_challenge(found.data, parse_status(DECRYPTED + found.lines))
    assert challenge.response == PLAINTEXT.decode().strip()
    assert challenge.context.user == "al%20ice%25"
    assert challenge.context.host_keys == ("A" * 16,)


OTHERS = {
    "nothing": b"",
    "no packet": b"hzA8vx2i2Y\n",
    "two": literal() + literal(),
    "a signature before it": packet(4, bytes(13)) + literal(),
    "something behind it": compressed(literal()) + b"x",
    "something behind it, within": compressed(literal() + b"x"),
    "compressed twice": compressed(compressed(literal())),
    "cut off": literal()[:-5],
    "cut off within": compressed(literal())[:-5],
    "without its checksum": compressed(literal())[:-1],
    "too short for its name": packet(11, b"b\xffx"),
    "no date": packet(11, b"b\x01xxx"),
    "text with line ends to convert": literal(mode=b"t"),
    "BZIP2": compressed(literal(), 3),
    "an unknown algorithm": compressed(literal(), 9),
    "a bomb": compressed(literal(text=bytes(1 << 20))),
    "a name that is not ASCII": literal("trex user=\u00e9".encode()),
    "encrypted again": packet(18, bytes(30)),
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_everything_else_is_left_to_gpg(content: bytes) -> None:
    assert read_literal(content) is None


@given(st.binary(max_size=80) | st.binary(max_size=80).map(compressed))
def test_whatever_a_server_sends_it_is_read_or_left(content: bytes) -> None:
    found = read_literal(content)
    assert found is None or len(parse_status(found.lines)["PLAINTEXT"]) == 1


@given(st.text(alphabet=st.characters(max_codepoint=126), max_size=60), st.binary(max_size=60))
def test_name_and_text_come_out_as_they_went_in(name: str, text: bytes) -> None:
    found = read_literal(literal(name.encode(), text))
    assert found
    assert found.data == text
    assert list(parse_status(found.lines)) == ["PLAINTEXT"], "no name can write a status line"
