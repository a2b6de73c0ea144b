"""Two people's texts: any two of them in any order are right, and no one's alone."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import permutations, product

import pytest

from trex.errors import ACCEPTED, MISSING, WRONG
from trex.login.options import parse_options
from trex.openpgp.apart import TwoTexts, _check_apart
from trex.openpgp.errors import KeyEnded, SamePerson
from trex.openpgp.gpg import Gpg
from trex.openpgp.method import background_of, gpg_for
from trex.openpgp.recipients import Chosen
from trex.openpgp.record import AuthRecord
from trex.system.privilege import Account

NAMES = ["A" * 40, "B" * 40, "/etc/trex/keys/c.pgp"]


def made(names: list[str]) -> tuple[TwoTexts, list[str]]:
    challenge = TwoTexts(names, 600)
    texts = challenge.plaintext.decode().split("\n")
    assert texts.pop() == ""
    assert len(set(texts)) == len(names)
    return challenge, texts


@pytest.mark.parametrize("number", [2, 3])
def test_each_ordered_pair_of_different_texts_is_right_and_no_other(number: int) -> None:
    _, texts = made(NAMES[:number])
    for one, other in product(range(number), repeat=2):
        challenge, texts = made(NAMES[:number])
        expected = WRONG if one == other else ACCEPTED
        assert challenge.judge(f"{texts[one]} {texts[other]}") is expected


@pytest.mark.parametrize(
    ("form", "right"),
    [
        ("{0}{1}", True), ("Both responses: {0}{1}", True), ("Both responses: {1}\t{0}\n", True), ("{0}  {1} ", True),
        ("{0}", False), ("{0} x", False), ("{0} {1} x", False), ("{0}+{1}", False),
        ("{0} {1}x", False), ("x{0}{1}", False), ("{0}\0{1}", False),
    ],
)  # fmt: skip
def test_what_counts_as_both_texts(form: str, *, right: bool) -> None:
    challenge, texts = made(NAMES[:2])
    assert challenge.judge(form.format(*texts)) is (ACCEPTED if right else WRONG)


def test_no_word_at_all_is_no_response() -> None:
    assert made(NAMES)[0].judge(" \n") is MISSING


def test_the_text_of_a_key_that_was_left_out_is_not_right_and_who_answered_is_noted() -> None:
    challenge, texts = made(NAMES)
    keys = ["A" * 40, "C" * 40, "the signer's"]
    asked = [Chosen(NAMES[0], "A" * 40, []), Chosen(NAMES[2], "C" * 40, [])]
    challenge.asked(asked, keys)
    assert set(challenge.accepted("")) == {
        one + other for one, other in permutations([texts[0], texts[2]])
    }
    other, _ = made(NAMES)
    told = ["A" * 40, "B" * 40, "C" * 40, "the signer's"]
    other.asked([Chosen(name, key, []) for name, key in zip(NAMES, told, strict=False)], told)
    _, b, c = other.plaintext.decode().split()
    assert other.judge(f"{c} {b}") is ACCEPTED
    assert told == ["B" * 40, "C" * 40, "the signer's"]


class Ended:
    """A standing whose keys do not count any more."""

    def check(self) -> None:
        raise KeyEnded("A" * 40)


def test_two_right_texts_for_keys_that_have_ended_let_nobody_in() -> None:
    challenge, texts = made(NAMES)
    challenge.standing = Ended()  # type: ignore[assignment]
    with pytest.raises(KeyEnded):
        challenge.judge(f"{texts[0]} {texts[1]}")
    challenge, texts = made(NAMES)
    challenge.standing = Ended()  # type: ignore[assignment]
    assert challenge.judge("x y") is WRONG


@pytest.mark.parametrize(("question", "last"), [("", "Both responses: "), ("Both? ", "Both? ")])
def test_the_prompt_says_what_is_to_be_done_and_has_no_code(question: str, last: str) -> None:
    shown = made(NAMES)[0].prompt("alice", "Message 1 of 2\n", "a code\n", 600, question)
    assert "a code" not in shown
    assert "two people decrypt one message each;\nanswer with both texts, in any order." in shown
    assert shown.rpartition("\n")[2] == last


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [("D", "E", True), ("D", "ED", False), ("D", "A", False), ("DB", "E", False)],
)
def test_keys_of_which_one_has_a_subkey_of_the_other_are_not_two_people(
    first: str, second: str, *, apart: bool
) -> None:
    """Whoever has that secret part reads both messages, if gpg takes it for both."""
    chosen = [
        Chosen(NAMES[0], "A" * 40, [digit * 40 for digit in first]),
        Chosen(NAMES[1], "B" * 40, [digit * 40 for digit in second]),
    ]
    with nullcontext() if apart else pytest.raises(SamePerson):
        _check_apart(chosen)


def test_a_record_for_two_is_never_encrypted_as_one_for_anybody() -> None:
    """Whoever forgets to ask which gpg a record needs gets no message."""
    record = AuthRecord(1, NAMES, trust=True)
    assert gpg_for(record) is Gpg
    record.needed = 2
    gpg = Gpg("/usr/bin/gpg", Account("root", 0, 0, "/root", []), "/nonexistent", 5)
    with pytest.raises(RuntimeError):
        gpg.look_up(record)
    assert gpg_for(record) is not Gpg


def test_no_code_is_drawn_of_messages_for_two_where_the_line_draws_one_for_all() -> None:
    record = AuthRecord(1, NAMES, trust=True)
    options = parse_options(["qr=terminal"])
    assert background_of(record, options) == "dark"
    record.needed = 2
    assert background_of(record, options) == ""
