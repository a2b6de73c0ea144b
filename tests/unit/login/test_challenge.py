"""The challenge and its one judgement."""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.errors import ACCEPTED, LATE, MISSING, WRONG
from trex.login import challenge as module
from trex.login.challenge import ALPHABET, LENGTH, Challenge, OneText, RandomText, now, random_text
from trex.system.secretfile import StateNotWritten


def made(seconds: float = 600) -> OneText:
    return OneText(random_text(), seconds)


def answer(challenge: OneText) -> str:
    [text] = challenge.accepted("")
    return text


def test_the_plaintext_is_ten_characters_of_the_alphabet_and_a_newline() -> None:
    for _ in range(1000):
        assert re.fullmatch(rb"[a-zA-Z0-9]{10}\n", RandomText(600).plaintext)


def test_the_alphabet_has_each_letter_and_digit_once() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 62
    assert ALPHABET.isalnum()
    assert ALPHABET.isascii()


def test_characters_are_uniform() -> None:
    """Pearson's chi-square with 61 degrees of freedom, for each place and for all together.

    125 is the quantile of 1 - 3e-6: with eleven statistics, a sound generator fails this test
    once in about 30,000 runs. Folding 62 and 63 back (`number % 62`) would give over 1,800.
    """
    count = 62_000
    texts = [random_text() for _ in range(count)]
    for characters in [*zip(*texts, strict=True), "".join(texts)]:
        expected = len(characters) / len(ALPHABET)
        seen = Counter(characters)
        assert sum((seen[c] - expected) ** 2 / expected for c in ALPHABET) < 125


def test_challenges_differ() -> None:
    assert len({random_text() for _ in range(1000)}) == 1000


def test_the_right_response_is_accepted() -> None:
    challenge = made()
    assert challenge.judge(answer(challenge)) is ACCEPTED


@pytest.mark.parametrize(
    "shape", ["{} ", " {}", "\t{}\r\n", "gpg: encrypted with cv25519 key\n{}\n", "x y z {}"]
)
def test_white_space_is_ignored_and_the_last_word_counts(shape: str) -> None:
    challenge = made()
    assert challenge.judge(shape.format(answer(challenge))) is ACCEPTED


@pytest.mark.parametrize("response", [None, "", " ", "\n", "\t \r\n"])
def test_no_response_is_refused(response: str | None) -> None:
    """Advisories CVE-2021-31924 and CVE-2011-4120."""
    assert made().judge(response) is MISSING


@pytest.mark.parametrize(
    "shape", ["{}x", "x{}", "{} x", "{0}{0}", "{0:.9}", "\ufeff{}", "{}\u200b", "{}\0", "\ud800"]
)
def test_a_response_that_is_nearly_right_is_refused(shape: str) -> None:
    challenge = made()
    assert challenge.judge(shape.format(answer(challenge))) is WRONG


def test_case_matters() -> None:
    challenge = made()
    assert challenge.judge(answer(challenge).swapcase() + "") in (WRONG, ACCEPTED)
    while (text := answer(challenge := made())).swapcase() == text:
        pass  # ten digits: once in 8e7
    assert challenge.judge(text.swapcase()) is WRONG


@given(st.text(st.characters(), max_size=50))
def test_nothing_else_is_ever_accepted(response: str) -> None:
    challenge = made()
    if response.split()[-1:] != [answer(challenge)]:
        assert challenge.judge(response) is not ACCEPTED


@pytest.mark.parametrize("first", ["", "wrong", None])
def test_a_wrong_answer_burns_the_challenge(first: str | None) -> None:
    """A Rust QR module held its code for three tries: here the right one afterwards fails."""
    challenge = made()
    assert challenge.judge(first) in (WRONG, MISSING)
    with pytest.raises(RuntimeError):
        challenge.judge(answer(challenge))


def test_a_right_answer_counts_once() -> None:
    challenge = made()
    assert challenge.judge(answer(challenge)) is ACCEPTED
    with pytest.raises(RuntimeError):
        challenge.judge(answer(challenge))


def test_a_late_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = made()
    monkeypatch.setattr(module, "now", lambda: challenge.deadline)
    assert challenge.judge(answer(challenge)) is LATE


def test_an_answer_just_before_the_deadline_is_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = made()
    monkeypatch.setattr(module, "now", lambda: challenge.deadline - 0.001)
    assert challenge.judge(answer(challenge)) is ACCEPTED


def test_the_clock_counts_suspend_and_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The C++ trex-pam compared wall clocks: a clock that was set back made an answer timely."""
    boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert abs(now() - boot) < 5


def test_the_text_is_in_no_representation() -> None:
    challenge = made()
    for shown in (repr(challenge), str(challenge), f"{challenge}", repr([challenge])):
        assert answer(challenge) not in shown


def test_the_length_is_what_the_documents_count_with() -> None:
    assert len(ALPHABET) ** LENGTH == 839_299_365_868_340_224


class Application:
    """Whoever asks the user; there is only one answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.informed: list[str] = []

    def ask(self, question: str, *, echo: bool) -> str | None:
        self.asked.append((question, echo))
        return "an answer"

    def inform(self, text: str) -> None:
        assert not self.asked, "before the question"
        self.informed.append(text)

    def earlier_password(self) -> str | None:
        raise AssertionError("nobody needs it")

    def pass_on(self, password: str) -> None:
        raise AssertionError("it is nobody's")


def test_the_question_is_asked_and_the_response_shown_unless_the_method_says_otherwise() -> None:
    challenge, application = made(), Application()
    challenge.question = "What?"
    assert challenge.obtain(application) == "an answer"
    challenge.echo = False
    assert challenge.obtain(application) == "an answer"
    assert application.asked == [("What?", True), ("What?", False)]


def test_information_is_shown_before_the_question() -> None:
    challenge, application = made(), Application()
    challenge.information, challenge.question = "a message", "What?"
    assert challenge.obtain(application) == "an answer"
    assert application.informed == ["a message"]
    assert application.asked == [("What?", True)]


def test_without_a_method_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(NotImplementedError):
        Challenge(600).judge("x")


class Several(Challenge):
    """What a method with state does: several texts are right, and one is spent."""

    def __init__(self, texts: list[str], *, full_disk: bool = False) -> None:
        super().__init__(600)
        self.texts = texts
        self.full_disk = full_disk
        self.settled: list[tuple[str, int | None]] = []

    def accepted(self, offered: str) -> list[str]:
        return self.texts

    def settle(self, offered: str, right: int | None) -> None:
        if self.full_disk:
            raise StateNotWritten("no space left on device")
        self.settled.append((offered, right))


@pytest.mark.parametrize(
    ("response", "outcome", "right"),
    [("a", ACCEPTED, 0), ("b", ACCEPTED, 1), ("x", WRONG, None), ("ab", WRONG, None)],
)
def test_one_of_several_texts_is_right_and_the_method_learns_which(
    response: str, outcome: object, right: int | None
) -> None:
    challenge = Several(["a", "b"])
    assert challenge.judge(response) is outcome
    assert challenge.settled == [(response, right)]


def test_nothing_is_right_where_nothing_is_accepted() -> None:
    assert Several([]).judge("a") is WRONG


def test_what_cannot_be_remembered_is_not_accepted() -> None:
    with pytest.raises(StateNotWritten):
        Several(["a"], full_disk=True).judge("a")


def test_what_comes_late_is_spent_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = Several(["a"])
    monkeypatch.setattr(module, "now", lambda: challenge.deadline)
    assert challenge.judge("a") is LATE
    assert challenge.settled == []


@pytest.mark.parametrize("response", [None, "", " ", "\t\n"])
def test_blanks_are_no_response_also_where_all_of_it_would_be_compared(
    response: str | None,
) -> None:
    challenge = Several([" ", "\t\n"])
    challenge.offered = lambda response: response  # type: ignore[method-assign]
    assert challenge.judge(response) is MISSING
    assert challenge.settled == []
