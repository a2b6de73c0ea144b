"""A clock that is wrong: three codes in their rhythm prove it, to Trex and google-authenticator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.codes import (
    FILE,
    STEADY,
    code,
    early_in_a_step,
    here,
    otp_file,
    text,
    without_times,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

STEP = 4  # seconds, as short as a busy machine allows
TRIES = 20


def in_three_steps(
    begin: Callable[[], object], turns: list[Callable[[int], object]]
) -> list[object]:
    """Call a function at the beginning of three steps in a row; return the results.

    Begins again where the machine was too slow, and a step was over before its turn.
    """
    for _ in range(TRIES):
        begin()
        steps, told = [], []
        for turn in turns:
            steps.append(early_in_a_step(STEP))
            told.append(turn(steps[-1]))
            if here(STEP) != steps[-1]:
                break
            time.sleep(STEP / 2)
        else:
            if steps[-1] - steps[0] <= len(turns):
                return told
    raise AssertionError("no three steps in a row")


def test_three_codes_in_a_row_teach_both_the_same_skew(
    bob: Account, carol: Account, otp: Callable[..., bool]
) -> None:
    def begin() -> None:
        for user in (bob, carol):
            user.write(text('" TOTP_AUTH', f'" STEP_SIZE {STEP}'), FILE)

    def both(now: int) -> list[bool]:
        verdicts = [otp("trex", bob, code(now + 50)), otp("google", carol, code(now + 50))]
        noted.append(without_times(bob).count("+50"))
        return verdicts

    noted: list[int] = []
    assert in_three_steps(begin, [both] * 3) == [[False, False], [False, False], [True, True]]
    assert noted[-3:] == [1, 2, 0]
    assert without_times(bob) == without_times(carol)
    for user in (bob, carol):
        assert '" TIME_SKEW 50\n' in otp_file(user).read_text()


@pytest.mark.parametrize("last", ["trex", "google"])
def test_both_modules_learn_a_skew_together(
    bob: Account, otp: Callable[..., bool], last: str
) -> None:
    """Each module uses the RESETTING_TIME_SKEW that the other has written."""
    other = "google" if last == "trex" else "trex"

    def by(stack: str) -> Callable[[int], bool]:
        return lambda now: otp(stack, bob, code(now + 50))

    verdicts = in_three_steps(
        lambda: bob.write(text('" TOTP_AUTH', f'" STEP_SIZE {STEP}', STEADY), FILE),
        [by(last), by(other), by(last)],
    )
    assert verdicts == [False, False, True]
    assert '" TIME_SKEW 50\n' in otp_file(bob).read_text()
    assert otp(other, bob, code(early_in_a_step(STEP) + 51))


@pytest.mark.parametrize("newest", [80, 2, 1, 0])
def test_codes_that_were_seen_cannot_be_played_again_as_those_of_a_slow_clock(
    bob: Account, otp: Callable[..., bool], newest: int
) -> None:
    """Three old codes in the same rhythm would prove a skew: then the owner's codes are refused.

    The used one is newer than all, or is the third, second or first of them. google-authenticator
    notes any code, and so shows that it was the rhythm.
    """
    first: list[int] = []

    def begin() -> None:
        first.clear()
        bob.write(text('" TOTP_AUTH', f'" STEP_SIZE {STEP}'), FILE)

    def play(stack: str) -> Callable[[int], bool]:
        def turn(now: int) -> bool:
            if not first:
                used = f"{STEADY} {now - 100 + newest}"
                bob.write(text('" TOTP_AUTH', f'" STEP_SIZE {STEP}', used), FILE)
            first.append(now)
            return otp(stack, bob, code(now - 100))

        return turn

    assert in_three_steps(begin, [play("google"), play("google"), play("trex")]) == [False] * 3
    content = otp_file(bob).read_text()
    rhythm = [now for now in first if f" {now}-100" in content]
    assert rhythm[:2] == first[:2], "noted they were"
    assert '" TIME_SKEW ' not in content
    assert (first[2] not in rhythm) == (first[2] - first[0] <= newest)
