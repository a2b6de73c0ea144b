"""A login whose file another login replaces during the judgement: no change is lost or made twice."""

from __future__ import annotations

import os
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

import trex.system.secretfile
from tests.unit.totp.test_totp import HERE, NOW, Phone, code
from trex.errors import ACCEPTED, WRONG, TooManyAttempts
from trex.system import rewriting
from trex.system.secretfile import StateNotWritten
from trex.totp import fleet as fleets
from trex.totp.errors import CodeSpent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Overtake = Callable[..., None]


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    phone = Phone(tmp_path / "secret")
    monkeypatch.setattr(time, "time", lambda: phone.now)
    monkeypatch.setattr(rewriting, "sleep", lambda _: None)
    return phone


@pytest.fixture
def overtake(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> Overtake:
    """Let another login write these lines just before this one's n-th attempt to write."""

    def set_up(*lines: str, at: int = 0, times: int = 1) -> None:
        original, written = rewriting.replace_in, count()

        def replace(directory: int, name: str, read: os.stat_result, content: bytes) -> None:
            if at <= next(written) < at + times:
                phone.path.unlink()
                phone.write(*lines)
            original(directory, name, read, content)

        monkeypatch.setattr("trex.system.secretfile.replace_in", replace)

    return set_up


def test_two_that_use_two_codes_both_get_in_and_both_codes_are_spent(
    phone: Phone, overtake: Overtake
) -> None:
    phone.write('" TOTP_AUTH', "12345678", "23456789")
    overtake('" TOTP_AUTH', "23456789")
    assert phone.answer("23456789") is ACCEPTED
    assert phone.lines == ['" TOTP_AUTH']
    assert phone.warnings == ["an emergency code was used, 0 left"], "once, and the last count"


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the fleet was told: False for a claim, True for a release."""
    told: list[bool] = []

    def have_done(_servant: object, _program: str, tells: dict[str, bool]) -> tuple[str, str]:
        told.append(tells["release"])
        return ("released" if tells["release"] else "claimed"), ""

    monkeypatch.setattr(fleets, "read_fleet", lambda _options: "redis://x")
    monkeypatch.setattr(fleets, "find_servant", lambda *named: named)
    monkeypatch.setattr(fleets, "have_done", have_done)
    return told


def test_who_tries_again_claims_a_code_of_the_fleet_once(
    phone: Phone, overtake: Overtake, fleet: list[bool]
) -> None:
    phone.write('" TOTP_AUTH', "12345678", "23456789")
    overtake('" TOTP_AUTH', "23456789")
    assert phone.answer("23456789", "fleet") is ACCEPTED
    assert fleet == [False]


def test_a_code_that_was_used_here_meanwhile_stays_spent_for_the_fleet(
    phone: Phone, overtake: Overtake, fleet: list[bool]
) -> None:
    """For example by google-authenticator, which does not use the fleet's Redis."""
    phone.write('" TOTP_AUTH', "12345678")
    overtake('" TOTP_AUTH')
    with pytest.raises(CodeSpent):
        phone.answer("12345678", "fleet")
    assert fleet == [False]


def test_a_code_that_cannot_be_written_is_given_back_to_the_fleet(
    phone: Phone, overtake: Overtake, fleet: list[bool]
) -> None:
    phone.write('" TOTP_AUTH', "12345678")
    overtake('" TOTP_AUTH', "12345678", times=1000)
    with pytest.raises(StateNotWritten):
        phone.answer("12345678", "fleet")
    assert fleet == [False, True]


@pytest.mark.parametrize("kind", ["time", "emergency"])
def test_of_two_that_use_one_code_one_gets_in(phone: Phone, overtake: Overtake, kind: str) -> None:
    phone.write('" TOTP_AUTH', '" DISALLOW_REUSE', "12345678")
    spent = ['" TOTP_AUTH', f'" DISALLOW_REUSE {HERE}', "12345678"]
    lines = spent if kind == "time" else spent[:-1]
    overtake(*lines)
    with pytest.raises(CodeSpent):
        phone.answer(code(HERE) if kind == "time" else "12345678")
    assert phone.lines == lines
    assert CodeSpent.outcome is WRONG


def test_each_of_two_attempts_counts(phone: Phone, overtake: Overtake) -> None:
    """The other login's attempt was the last one allowed: it was written first."""
    phone.write('" TOTP_AUTH', '" RATE_LIMIT 2 30', "12345678")
    both = f'" RATE_LIMIT 2 30 {NOW} {NOW}'
    overtake('" TOTP_AUTH', both, "12345678")
    with pytest.raises(TooManyAttempts):
        phone.answer("12345678")
    assert phone.lines == ['" TOTP_AUTH', both, "12345678"]


def test_a_wrong_code_moves_on_the_counter_that_another_has_left(
    phone: Phone, overtake: Overtake
) -> None:
    phone.write('" HOTP_COUNTER 5')
    overtake('" HOTP_COUNTER 9')
    assert phone.answer("000000") is WRONG
    assert phone.lines == ['" HOTP_COUNTER 10']


@pytest.mark.parametrize(("at", "times"), [(0, rewriting.TRIES), (1, 1000)])
def test_who_is_overtaken_again_and_again_is_refused(
    phone: Phone, overtake: Overtake, at: int, times: int
) -> None:
    """At the count and at the code: attempts to write end, without a verdict."""
    phone.write('" TOTP_AUTH', '" RATE_LIMIT 9 30', "12345678")
    overtake('" TOTP_AUTH', '" RATE_LIMIT 9 30', "12345678", at=at, times=times)
    with pytest.raises(StateNotWritten, match="was changed by other logins"):
        phone.answer("12345678")
    assert phone.lines[-1] == "12345678"


def later(phone: Phone) -> None:
    """Let time pass and the owner log in three steps later: the window has moved."""
    phone.path.unlink()
    phone.write(f'" DISALLOW_REUSE {HERE + 3}', '" TOTP_AUTH')
    phone.now += 3 * 30


@pytest.mark.parametrize(("function", "nth"), [("take_turn", 2), ("replace_in", 1)])
def test_a_code_is_judged_by_the_time_at_which_the_file_is_read(
    phone: Phone, monkeypatch: pytest.MonkeyPatch, function: str, nth: int
) -> None:
    """Someone who has seen a code stops su there until the file no longer lists it as used."""
    is_spent = function == "take_turn"
    phone.write(f'" DISALLOW_REUSE{f" {HERE}" if is_spent else ""}', '" TOTP_AUTH')
    original, calls = getattr(trex.system.secretfile, function), count(1)

    def stopped(*arguments: object) -> object:
        if next(calls) == nth:
            later(phone)
        return original(*arguments)

    monkeypatch.setattr(trex.system.secretfile, function, stopped)
    if is_spent:
        assert phone.answer(code(HERE), "noskewadj") is WRONG
    else:
        with pytest.raises(CodeSpent):
            phone.answer(code(HERE), "noskewadj")
    assert next(calls) > nth
    assert phone.lines == [f'" DISALLOW_REUSE {HERE + 3}', '" TOTP_AUTH']
