"""The quick way to a message in a prompt finds what the patient one finds, or nothing."""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.cli.client.armor import checksum, plain_message
from trex.cli.client.context import parse_context
from trex.cli.client.paste import find_message
from trex.cli.client.words import unquoted
from trex.cli.errors import PasteError
from trex.openpgp.prompt import context


def armored(message: bytes) -> str:
    text = binascii.b2a_base64(message, newline=False).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    crc = binascii.b2a_base64(checksum(message), newline=False).decode()
    return f"-----BEGIN PGP MESSAGE-----\n\n{lines}\n={crc}\n-----END PGP MESSAGE-----\n"


@given(st.binary(min_size=1, max_size=300))
def test_a_message_in_a_prompt_is_found(message: bytes) -> None:
    prompt = f"\nTrex: to log in as alice\n{armored(message)}You have 10 minutes.\nResponse: "
    assert plain_message(prompt) == find_message(prompt) == message


WHOLE = armored(b"0123456789" * 10)


@given(st.integers(0, len(WHOLE)), st.text("-= \n>|A+/\u00e9\x00", max_size=3), st.integers(0, 3))
def test_a_changed_one_is_found_alike_or_left(at: int, put: str, gone: int) -> None:
    text = WHOLE[:at] + put + WHOLE[at + gone :]
    quick = plain_message(text)
    if quick is None:
        return
    try:
        assert find_message(text) == quick
    except PasteError as error:
        pytest.fail(f"{text!r}: {error}")


@pytest.mark.parametrize("text", [
    "", "Password: ", WHOLE * 2, WHOLE.replace("\n", "\r\n"), WHOLE.replace("=", "", 1),
    "> " + WHOLE.replace("\n", "\n> "), WHOLE.replace("\n\n", "\nVersion: GnuPG\n\n", 1),
])  # fmt: skip
def test_any_other_form_is_left_to_the_patient_one(text: str) -> None:
    assert plain_message(text) is None


@given(st.text(max_size=30))
def test_percent_codes_mean_what_urllib_takes_them_for(text: str) -> None:
    assert unquoted(text, "backslashreplace") == unquote(text, errors="backslashreplace")


FIELD = r"((?:[A-Za-z0-9._~@:\[\]-]|%[0-9A-F]{2})+(?:(?:%[0-9A-F]?)?\*)?)"
HOST = FIELD.replace("@", "")
KEY = "[A-Za-z0-9+_]{16}"
FORM = re.compile(
    rf"trex user={FIELD} host={HOST} service={FIELD} from={FIELD} until=([0-9TZ:-]{{20}})"
    rf"(?: hostkeys=({KEY}(?:,{KEY})*))?((?: [a-z]+=[!-~]+)*)"
)
RIGHT = context("alice", "sshd", "2001:db8::1", 600, ["A" * 16, "b+_" * 5 + "c"])


@given(st.integers(0, len(RIGHT)), st.text("%4*@= ,~kx\n", max_size=3), st.integers(0, 3))
def test_a_context_is_taken_exactly_where_its_pattern_fits(at: int, put: str, gone: int) -> None:
    """The pattern is the specification; the parser does without regular expressions."""
    text = RIGHT[:at] + put + RIGHT[at + gone :]
    found, asks = FORM.fullmatch(text), parse_context(text)
    if asks:
        assert found
        assert (asks.user, asks.host, asks.service, asks.origin) == found.groups()[:4]
        assert asks.host_keys == tuple((found[6] or "").split(",") if found[6] else ())
    elif found:
        names = ["user", "host", "service", "from", "until", "hostkeys"]
        names += [word.partition("=")[0] for word in found[7].split()]
        is_time = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found[5])
        assert (
            len(set(names)) < len(names)
            or not is_time
            or int(found[5][5:7]) not in range(1, 13)
            or (int(found[5][8:10]) not in range(1, 29))
            or int(found[5][11:13]) > 23
            or int(found[5][14:16]) > 59
            or int(found[5][17:19]) > 59
        )
