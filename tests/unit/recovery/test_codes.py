"""Recovery codes: how they are made and typed, and what their file may hold."""

from __future__ import annotations

import os
import re
import time

import pytest

from tests.support.recovery import CODES, MADE, SALT, hashed, text
from trex.errors import OtherAccount, RecordError
from trex.recovery.codes import (
    HOW_MANY,
    RecoveryCodes,
    as_made,
    codes_for,
    hash_of,
    in_groups,
    new_file,
    random_code,
)
from trex.system.privilege import Account

PATH = "/home/alice/.trex_recovery"
UID = 1001
ALICE = Account("alice", UID, 1001, "/home/alice", [])
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FIRST = CODES[0].replace("-", "")


@pytest.mark.parametrize(
    ("drawn", "code"),
    [
        (bytes(10), "0000000000000000"),
        (bytes([255] * 10), "ZZZZZZZZZZZZZZZZ"),
        (bytes(9) + b"\1", "0000000000000001"),
        (b"\x80" + bytes(9), "G000000000000000"),
        (bytes.fromhex("00443214c74254b635cf"), CROCKFORD[:16]),
        (bytes.fromhex("84653a56d7c675be77df"), CROCKFORD[16:]),
    ],
)
def test_all_eighty_bits_are_in_a_code(
    monkeypatch: pytest.MonkeyPatch, drawn: bytes, code: str
) -> None:
    """Every five bits are one of Crockford's digits, the first first."""

    def getrandom(size: int) -> bytes:
        assert size == len(drawn)
        return drawn

    monkeypatch.setattr(os, "getrandom", getrandom)
    assert random_code() == code


def test_codes_are_all_different() -> None:
    made = [random_code() for _ in range(1000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(f"[{CROCKFORD}]{{16}}", code) for code in made)
    assert set("".join(made)) == set(CROCKFORD)


def test_a_code_in_groups_is_read_as_it_was_made() -> None:
    assert in_groups(FIRST) == CODES[0]
    for code in (random_code() for _ in range(100)):
        assert as_made(in_groups(code)) == as_made(in_groups(code).lower()) == code


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("oOiIlL uU", "001111VV"),
        ("7k3m qx9d", "7K3MQX9D"),
        ("\t7K3M_QX9D.\n", "7K3MQX9D"),
        ("-- \N{EN DASH}", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_how_a_code_may_be_typed(typed: str, code: str) -> None:
    assert as_made(typed) == code


def test_a_new_file_has_a_salt_and_hashes_of_its_own() -> None:
    before = int(time.time())
    first, second = new_file([FIRST], UID), new_file([FIRST], UID)
    assert first != second, "another salt"
    head, uid, made, salt, code = first.decode().splitlines()
    assert head.startswith("# ")
    assert (uid, code) == (f"uid {UID}", f"code {hashed(FIRST, salt.removeprefix('salt '))}")
    assert len(salt) == len("salt ") + 32
    assert before <= int(made.removeprefix("made ")) <= time.time()
    codes = codes_for(ALICE, first, PATH)
    assert codes.left == [codes.hash_of(FIRST)]
    assert codes.content == first
    assert HOW_MANY == 10


def test_the_hash_is_of_the_salt_and_the_code() -> None:
    assert hash_of(FIRST, bytes.fromhex(SALT)) == hashed(CODES[0])
    assert hash_of("\udcff", b"") != hash_of("", b""), "what is not UTF-8 has a hash, too"


def test_spending_changes_one_line() -> None:
    before = text(UID, spent={CODES[1]: 7}) + "\n# a comment of Zoë's\n"
    codes = RecoveryCodes(before.encode("latin-1"), PATH)
    assert (codes.uid, codes.made) == (UID, MADE)
    assert codes.left == [hashed(CODES[0]), hashed(CODES[2])]
    assert codes.spent == {hashed(CODES[1]): 7}
    codes.spend(hashed(CODES[2]), 1_795_800_384)
    after = before.replace(hashed(CODES[2]), f"{hashed(CODES[2])} 1795800384")
    assert codes.content == after.encode("latin-1")
    assert codes.left == [hashed(CODES[0])]
    assert codes.spent == {hashed(CODES[1]): 7, hashed(CODES[2]): 1_795_800_384}
    again = RecoveryCodes(codes.content, PATH)
    assert (again.left, again.spent) == (codes.left, codes.spent)
    assert repr(codes) == "<RecoveryCodes>"


def test_the_lines_may_come_in_any_order_and_without_a_last_line_end() -> None:
    lines = text(UID).splitlines()
    codes = codes_for(ALICE, "\n".join(reversed(lines)).encode(), PATH)
    assert codes.left == [hashed(code) for code in reversed(CODES)]


@pytest.mark.parametrize(
    ("old", "new", "line", "found"),
    [
        (f"uid {UID}", "uid 01x", 2, "another uid"),
        (f"uid {UID}", "uid", 2, "another line"),
        (f"uid {UID}", "uid 1 2", 2, "another line"),
        (f"uid {UID}", "uid -1", 2, "another uid"),
        (f"uid {UID}", "uid \N{ARABIC-INDIC DIGIT ONE}", 2, "another uid"),
        (f"uid {UID}", "uid 12345678901", 2, "another uid"),
        (f"uid {UID}\n", "", 6, "the end"),
        (f"made {MADE}", "made ", 3, "another made"),
        (f"made {MADE}\n", "", 6, "the end"),
        (f"salt {SALT}", f"salt {SALT[1:]}", 4, "another salt"),
        (f"salt {SALT}", f"salt {SALT.upper()}", 4, "another salt"),
        (f"salt {SALT}\n", "", 6, "the end"),
        (f"salt {SALT}", f"salt {SALT}\nsalt {SALT}", 5, "another line"),
        ("# codes", CODES[0], 1, "another line"),
        ("# codes", " ", 1, "another line"),
        ("# codes", "code", 1, "another line"),
        ("# codes", f"code {hashed(CODES[0])} 1 1", 1, "another line"),
        ("# codes", f"code {hashed('x')[1:]}", 1, "another code"),
        ("# codes", f"code {hashed('x')} ", 1, "another code"),
        ("# codes", f"code {hashed('x')} 1x", 1, "another code"),
        ("# codes", f"code {hashed(CODES[0])} 1", 5, "another code"),
    ],
)
def test_what_is_not_of_the_form_is_an_error_that_quotes_nothing(
    old: str, new: str, line: int, found: str
) -> None:
    """A spent code must not be right because its line stands there twice."""
    content = text(UID).replace(old, new)
    assert content != text(UID)
    with pytest.raises(RecordError) as caught:
        RecoveryCodes(content.encode(), PATH)
    expected = {
        "another uid": "a number", "another made": "a number", "another salt": "32 hex digits",
        "another line": "uid, made and salt once each, or a code", "the end": "a line ",
        "another code": "64 hex digits, not twice, and after use a time",
    }  # fmt: skip
    assert str(caught.value).startswith(f"{PATH}:{line}: expected {expected[found]}")
    assert str(caught.value).endswith(f", found {found}")
    assert not any(code in str(caught.value) for code in CODES)


def test_a_digit_that_is_no_number_is_an_error() -> None:
    content = text(UID).replace(f"uid {UID}", "uid \N{SUPERSCRIPT TWO}").encode("latin-1")
    with pytest.raises(RecordError, match=r"found another uid$"):
        RecoveryCodes(content, PATH)


def test_a_file_without_codes_has_none_left() -> None:
    assert codes_for(ALICE, text(UID, ()).encode(), PATH).left == []


@pytest.mark.parametrize("uid", [0, UID - 1, UID + 1, 10_010])
def test_codes_of_another_account_are_refused(uid: int) -> None:
    told = rf"^{PATH}: expected uid={UID}, which is alice's, found uid={uid}: "
    with pytest.raises(OtherAccount, match=told):
        codes_for(ALICE, text(uid).encode(), PATH)
