"""google-authenticator's file and its rules; the vectors of RFC 4226 and RFC 6238."""

from __future__ import annotations

import subprocess
import sys
from base64 import b32encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp import HOTP

from trex.errors import RecordError
from trex.totp.rules import (
    AcceptedCode,
    accepted_codes,
    adopt_skew,
    blocked_until,
    count_attempt,
    counters_in_window,
    note_skew,
    spend,
    steps_in_window,
    steps_that_complete,
)
from trex.totp.state import BASE32, MAX_COUNTER, MAX_SECRET, OtpState

ROOT = Path(__file__).resolve().parents[3]
KEY = b"12345678901234567890"  # of both RFCs
SECRET = b32encode(KEY).decode()
NOW = 1_700_000_000
HERE = NOW // 30


def state(*lines: str, secret: str = SECRET) -> OtpState:
    return OtpState("".join(f"{line}\n" for line in (secret, *lines)).encode(), "/x")


def totp(*lines: str) -> OtpState:
    return state(*lines, '" TOTP_AUTH')


@pytest.mark.parametrize(
    ("counter", "code"),
    enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
               "399871", "520489"]),
)  # fmt: skip
def test_the_vectors_of_rfc_4226(counter: int, code: str) -> None:
    assert HOTP(state().secret).at(counter) == code


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
     (2000000000, "69279037"), (20000000000, "65353130")],
)  # fmt: skip
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    """Appendix B has eight digits; the last six are the six-digit code."""
    middle = steps_in_window(totp('" WINDOW_SIZE 1'), seconds)
    assert [HOTP(state().secret).at(step) for step in middle] == [code[2:]]


@pytest.mark.parametrize(
    "typed",
    [SECRET, SECRET.lower(), SECRET.replace("O", "0"), "-".join(SECRET), f" {SECRET} \r",
     SECRET.replace("B", "8").replace("L", "1")],
)  # fmt: skip
def test_a_secret_is_read_as_leniently_as_google_authenticator_reads_it(typed: str) -> None:
    assert state(secret=typed).secret == SECRET


def test_a_secret_may_have_each_letter_of_base32() -> None:
    assert state(secret=BASE32).secret == BASE32


@pytest.mark.parametrize("length", range(2, 40))
def test_a_secret_of_any_length_computes(length: int) -> None:
    assert len(HOTP(state(secret="A" * length).secret).at(1)) == 6


def test_a_secret_has_a_largest_length_and_the_error_says_it() -> None:
    """Longer ones are no stronger (RFC 2104, 3), and a wrong code is compared with thousands."""
    for longest in ("A" * MAX_SECRET, "-".join("A" * MAX_SECRET)):
        assert len(HOTP(state(secret=longest).secret).at(1)) == 6
    with pytest.raises(RecordError) as caught:
        state(secret="A" * (MAX_SECRET + 1))
    assert (
        str(caught.value)
        == f"/x:1: expected at most 256, found {MAX_SECRET + 1} characters of secret"
    )


@pytest.mark.parametrize("secret", ["", "A", "   ", "SECRET!", "SECR\u0100", "ABC9"])
def test_what_is_no_secret_is_an_error_that_names_the_line(secret: str) -> None:
    with pytest.raises(RecordError, match=r"^/x:1: expected a secret in base32, found no secret"):
        state(secret=secret)


@pytest.mark.parametrize(
    ("lines", "is_time_based", "counter"),
    [
        (['" TOTP_AUTH'], True, 0),
        (['" HOTP_COUNTER 7'], False, 7),
        (['" TOTP_AUTH', '" HOTP_COUNTER 7'], False, 7),
        (['" HOTP_COUNTER 0', '" TOTP_AUTH'], True, 0),
        (['" HOTP_COUNTER 1', '" TOTP_AUTH'], False, 1),
        ([], False, 0),
        (['"TOTP_AUTH'], False, 0),
        (['" HOTP_COUNTERS 7'], False, 0),
    ],
)
def test_what_codes_come_from(lines: list[str], is_time_based: bool, counter: int) -> None:
    read = state(*lines)
    assert (read.is_time_based, read.counter) == (is_time_based, counter)


@pytest.mark.parametrize(
    ("lines", "window"),
    [([], [-1, 0, 1]), (['" WINDOW_SIZE 1'], [0]), (['" WINDOW_SIZE 2'], [0, 1]),
     (['" WINDOW_SIZE 4'], [-1, 0, 1, 2]), (['" WINDOW_SIZE 17'], list(range(-8, 9))),
     (['" TIME_SKEW 5'], [4, 5, 6]), (['" TIME_SKEW -5'], [-6, -5, -4])],
)  # fmt: skip
def test_windows(lines: list[str], window: list[int]) -> None:
    assert steps_in_window(totp(*lines), NOW) == [HERE + step for step in window]


def test_a_counter_s_window_goes_ahead_only() -> None:
    assert counters_in_window(state('" HOTP_COUNTER 7', '" WINDOW_SIZE 4')) == [7, 8, 9, 10]


def test_a_counter_ends_where_the_next_one_could_not_be_written() -> None:
    for behind, window in ((5, 3), (3, 3), (2, 2), (1, 1), (0, 0)):
        read = state(f'" HOTP_COUNTER {MAX_COUNTER - behind}')
        assert counters_in_window(read) == [MAX_COUNTER - behind + n for n in range(window)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('" STEP_SIZE 0', "1 to 60"), ('" STEP_SIZE 61', "1 to 60"), ('" STEP_SIZE x', "1 to 60"),
        ('" STEP_SIZE', "1 to 60"), ('" WINDOW_SIZE 0', "1 to 100"),
        ('" WINDOW_SIZE 101', "1 to 100"), ('" TIME_SKEW x', "-2147483647 to"),
        ('" RATE_LIMIT 3', "attempts"), ('" RATE_LIMIT 0 30', "attempts"),
        ('" RATE_LIMIT 101 30', "attempts"), ('" RATE_LIMIT 3 3601', "attempts"),
        ('" RATE_LIMIT 3 30 x', "attempts"), ('" DISALLOW_REUSE x', "steps"),
        ('" DISALLOW_REUSE 99999999999', "steps"), ('" RATE_LIMIT 3 30 99999999999', "attempts"),
        ('" HOTP_COUNTER x', "from 0 to"), ('" HOTP_COUNTER -1', "from 0 to"),
        ('" HOTP_COUNTER 9223372036854775808', "from 0 to 9223372036854775807"),
        ('" STEP_SIZE 9223372036854775807', "1 to 60"),
    ],
)  # fmt: skip
def test_a_bad_option_is_an_error_that_names_its_line(line: str, expected: str) -> None:
    read = state('" XYZZY_X 1', line, '" TOTP_AUTH')
    with pytest.raises(RecordError, match=r"^/x:3: expected .*, found another ") as caught:
        _ = (read.step, read.window, read.skew, read.rate_limit, read.used_steps, read.counter)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('" STEP_SIZE 1', "step", 1), ('" STEP_SIZE 60', "step", 60), ('" WINDOW_SIZE 1', "window", 1),
        ('" WINDOW_SIZE 100', "window", 100), ('" WINDOW_SIZE 5 7', "window", 5),
        ('" RATE_LIMIT 1 1', "rate_limit", [1, 1]),
        ('" RATE_LIMIT 100 3600', "rate_limit", [100, 3600]), ("", "rate_limit", []),
        ('" HOTP_COUNTER 2147483647', "counter", 2**31 - 1),
        ('" HOTP_COUNTER 9223372036854775807', "counter", 2**63 - 1),
        ('" RESETTING_TIME_SKEW 5+1 6-2', "resetting", [(5, 1), (6, -2)]),
        ('" RESETTING_TIME_SKEW 5+1 x+2 7+3', "resetting", [(5, 1)]),
        ('" RESETTING_TIME_SKEW 5+1 6+x 7+3', "resetting", [(5, 1)]),
        ('" RESETTING_TIME_SKEW 5+1 6 7+3', "resetting", [(5, 1)]),
    ],
)  # fmt: skip
def test_what_an_option_may_say(line: str, name: str, value: object) -> None:
    assert getattr(state(line), name) == value


def test_a_superscript_is_no_number() -> None:
    """str.isdigit() accepts it, int() does not."""
    read = OtpState(f'{SECRET}\n" STEP_SIZE '.encode() + b"\xb2\n", "/x")
    with pytest.raises(RecordError, match=r"^/x:2: expected .*, found another STEP_SIZE"):
        _ = read.step


def test_a_nul_in_the_secret_is_an_error() -> None:
    with pytest.raises(RecordError, match=r"^/x:1: expected text, found a NUL character"):
        state(secret=f"{SECRET}\0")


def test_the_secret_is_in_no_representation() -> None:
    assert repr(state()) == f"{state()}" == "<OtpState>"


def test_an_accepted_code_is_in_no_representation() -> None:
    accepted = AcceptedCode("12345678", "1", lambda: None)
    assert repr(accepted) == f"{accepted}" == "<AcceptedCode>"


def accepted(read: OtpState, *, adjust_skew: bool = False) -> list[tuple[str, str]]:
    codes = accepted_codes(read, HOTP(SECRET), NOW, adjust_skew=adjust_skew)
    return [(code.text, code.identity) for code in codes]


def test_of_a_clock_the_codes_of_the_window_are_accepted_that_are_not_used() -> None:
    steps = [HERE - 1, HERE, HERE + 1]
    assert accepted(totp()) == [(HOTP(SECRET).at(step), str(step)) for step in steps]
    assert accepted(totp(f'" DISALLOW_REUSE {HERE}')) == [
        (HOTP(SECRET).at(step), str(step)) for step in (HERE - 1, HERE + 1)
    ]


def test_of_a_counter_each_code_is_known_by_the_next_one() -> None:
    read = state('" HOTP_COUNTER 7', '" WINDOW_SIZE 2')
    assert accepted(read) == [(HOTP(SECRET).at(n), str(n + 1)) for n in (7, 8)]
    accepted_codes(read, HOTP(SECRET), NOW, adjust_skew=False)[1].note_use()
    assert read.counter == 9


def test_emergency_codes_are_accepted_beside_and_alone() -> None:
    for options in ((), ('" TOTP_AUTH',), ('" HOTP_COUNTER 1',)):
        read = state(*options, "12345678", "87654321")
        assert accepted(read)[-2:] == [("12345678", "12345678"), ("87654321", "87654321")]
        accepted_codes(read, HOTP(SECRET), NOW, adjust_skew=False)[-1].note_use()
        assert read.emergency_codes == ["12345678"]
    assert accepted(state("12345678")) == [("12345678", "12345678")]


def test_the_third_code_of_another_skew_is_accepted_only_if_the_clock_may_be_adjusted() -> None:
    proof = totp(f'" RESETTING_TIME_SKEW {HERE - 2}+20 {HERE - 1}+20')
    code = HOTP(SECRET).at(HERE + 20), str(HERE + 20)
    assert code in accepted(proof, adjust_skew=True)
    assert code not in accepted(proof)
    last = [c for c in accepted_codes(proof, HOTP(SECRET), NOW, adjust_skew=True)
            if c.identity == str(HERE + 20)]  # fmt: skip
    last[0].note_use()
    assert b"TIME_SKEW 20" in proof.content


@pytest.mark.parametrize("line", ["abcdefgh", "1234567", "123456789", "02345678", "# mine"])
def test_a_line_that_is_neither_code_nor_option_ends_the_codes(line: str) -> None:
    assert state("12345678", line, "87654321").emergency_codes == ["12345678"]


def test_a_code_that_stands_there_twice_is_good_twice() -> None:
    """As for google-authenticator, which removes the first."""
    read = state("12345678", "12345678")
    read.remove_emergency_code("12345678")
    assert read.emergency_codes == ["12345678"]
    assert read.content.decode() == f"{SECRET}\n12345678\n"


def test_emergency_codes_end_where_something_else_stands() -> None:
    read = state('" TOTP_AUTH', "12345678", "", '" XYZZY_X', "87654321", "02345678", "11111111")
    assert read.emergency_codes == ["12345678", "87654321"]
    read.remove_emergency_code("12345678")
    assert read.emergency_codes == ["87654321"]
    assert read.content.decode().split("\n")[3:] == ['" XYZZY_X', "87654321", "02345678",
                                                     "11111111", ""]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (['" A_B', "12345678", "23456789", "# mine"], ['" A_B', "55555555", "66666666", "# mine"]),
        (['" A_B'], ['" A_B', "55555555", "66666666"]),
        ([], ["55555555", "66666666"]),
        (["# mine"], ["55555555", "66666666", "# mine"]),
        (
            ['" A_B', "# mine", "12345678", '" C_D'],
            ['" A_B', "55555555", "66666666", "# mine", "12345678", '" C_D'],
        ),
        (["12345678", '" A_B', "23456789"], ["55555555", "66666666", '" A_B']),
    ],
)
def test_emergency_codes_are_replaced_in_their_place(before: list[str], after: list[str]) -> None:
    read = state(*before)
    read.replace_emergency_codes(["55555555", "66666666"])
    assert read.content.decode().split("\n")[1:-1] == after
    assert OtpState(read.content, "/x").emergency_codes == ["55555555", "66666666"]


def test_an_option_is_replaced_in_its_place_and_what_is_unknown_stays() -> None:
    read = state(
        '" XYZZY_X \xff', '" RATE_LIMIT 3 30', "", '" RATE_LIMIT 9 9', "# mine", "12345678"
    )
    read.set("RATE_LIMIT", "1 2")
    assert read.content.decode() == (
        f'{SECRET}\n" XYZZY_X \xff\n" RATE_LIMIT 1 2\n\n# mine\n12345678\n'
    )
    read.set("TIME_SKEW", "4")
    assert read.content.decode().startswith(f'{SECRET}\n" TIME_SKEW 4\n" XYZZY_X')


def test_old_codes_prove_no_skew() -> None:
    """For codes before the last accepted one it is unknown which are used."""
    for newest, proofs in ((HERE - 38, 0), (HERE - 39, 0), (HERE - 40, 0), (HERE - 41, 1),
                           (HERE + 10, 0)):  # fmt: skip
        read = totp(f'" DISALLOW_REUSE {newest}')
        assert sum(skewed(read, -40, attempt) for attempt in range(3)) == proofs, newest
        assert read.skew == (-40 if proofs else 0)


@pytest.mark.parametrize(
    ("used", "skews"),
    [(-50, [-41, -40, -39]), (-44, []), (-43, []), (-42, []), (-41, []), (-39, []), (9, [])],
)
def test_each_step_of_a_proof_is_newer_than_every_used_one(used: int, skews: list[int]) -> None:
    """Also if the other module has written the steps, which include old ones."""
    noted = resetting((HERE - 4, -40), (HERE - 2, -40))
    read = totp(noted, f'" DISALLOW_REUSE {HERE + used} {HERE - 90}')
    assert steps_that_complete(read, NOW) == [HERE + skew for skew in skews]
    read = totp(noted, f'" TREX_USED_STEPS {HERE + used}')
    assert steps_that_complete(read, NOW) == [HERE + skew for skew in skews]


def test_a_code_that_is_not_newer_than_every_used_one_is_not_noted() -> None:
    codes, read = HOTP(SECRET), totp(f'" DISALLOW_REUSE {HERE - 60} {HERE - 30}')
    for skew in (-31, -30, -60, -61, -1499):
        assert note_skew(read, codes, codes.at(HERE + skew), NOW) is False, skew
    assert read.resetting == []
    assert note_skew(read, codes, codes.at(HERE - 29), NOW) is True
    assert read.resetting == [(HERE, -29)]


@pytest.mark.parametrize("option", ["DISALLOW_REUSE", "TREX_USED_STEPS"])
def test_a_step_is_remembered_until_it_is_out_of_the_window(option: str) -> None:
    """google-authenticator #26: rewriting the line lost its spaces, and so steps."""
    read = totp('" DISALLOW_REUSE') if option == "DISALLOW_REUSE" else totp()
    for step in (100, 101, 99, 110):
        spend(read, step)
        assert step in read.used_steps
    assert read.used_steps == [110]
    assert f'\n" {option} 110\n' in read.content.decode()
    spend(read, 111)
    for step in range(112, 140):
        spend(read, step)
        read = OtpState(read.content, "/x")
        assert f'\n" {option} {step - 2} {step - 1} {step}\n' in read.content.decode()


def test_attempts_are_limited_and_all_of_them_count() -> None:
    read = state('" RATE_LIMIT 3 30')
    told = "more than 3 attempts in 30 seconds (RATE_LIMIT)"
    assert [count_attempt(read, NOW + n) for n in range(5)] == [""] * 3 + [told] * 2
    assert read.rate_limit == [3, 30, NOW + 2, NOW + 3, NOW + 4]
    assert not count_attempt(read, NOW + 34)
    assert read.rate_limit == [3, 30, NOW + 4, NOW + 34]


def test_attempts_in_one_second_are_as_many_as_they_are() -> None:
    read = state('" RATE_LIMIT 2 30')
    assert [bool(count_attempt(read, NOW)) for _ in range(3)] == [False, False, True]
    assert count_attempt(state(), NOW) == ""


def test_an_attempt_in_the_future_neither_counts_nor_stays() -> None:
    """A clock that was set back must not keep the owner out."""
    read = state(f'" RATE_LIMIT 1 30 {NOW + 1000}')
    assert not count_attempt(read, NOW)
    assert read.rate_limit == [1, 30, NOW]


@given(
    st.integers(1, 4), st.integers(1, 60), st.lists(st.integers(NOW - 80, NOW), max_size=6)
)  # fmt: skip
def test_a_limit_ends_when_it_is_said_to_end(attempts: int, seconds: int, times: list[int]) -> None:
    """What `trex doctor` reports, and what a login does at that moment and just before."""
    words = " ".join(map(str, [attempts, seconds, *times]))

    def is_refused(at: int) -> bool:
        return bool(count_attempt(totp(f'" RATE_LIMIT {words}'), at))

    read = totp(f'" RATE_LIMIT {words}')
    before = read.content
    until = blocked_until(read, NOW)
    assert read.content == before
    assert is_refused(NOW) == (until > NOW)
    assert not is_refused(until)
    assert until == NOW or is_refused(until - 1)
    assert blocked_until(totp(), NOW) == NOW


def skewed(read: OtpState, steps_ahead: int, attempt: int) -> int:
    """One attempt with the code of a clock that is ahead; return how many codes complete."""
    now = NOW + 30 * attempt
    code = HOTP(read.secret).at(now // 30 + steps_ahead)
    complete = [s for s in steps_that_complete(read, now) if HOTP(read.secret).at(s) == code]
    if complete:
        adopt_skew(read, now, complete[0])
    else:
        note_skew(read, HOTP(read.secret), code, now)
    return len(complete)


@pytest.mark.parametrize("ahead", [-1499, -40, 7, 1499])
def test_three_codes_in_a_row_teach_how_wrong_a_clock_is(ahead: int) -> None:
    read = totp()
    assert [skewed(read, ahead, attempt) for attempt in range(3)] == [0, 0, 1]
    assert read.skew == ahead
    assert read.resetting == []
    assert HERE + 2 + ahead in read.used_steps, "what has opened the door is used"


def test_codes_that_are_not_in_a_row_teach_nothing() -> None:
    gap = totp()
    assert [skewed(gap, 40, attempt) for attempt in (0, 1, 4)] == [0, 0, 0]
    jump = totp()
    assert [skewed(jump, ahead, n) for n, ahead in enumerate((40, 45, 40))] == [0, 0, 0]
    same = totp()
    assert [skewed(same, 40 - n, n) for n in range(4)] == [0, 0, 0, 0], "one code three times"
    far = totp()
    assert [skewed(far, 1500, n) for n in range(3)] == [0, 0, 0]


def resetting(*attempts: tuple[int, int]) -> str:
    return '" RESETTING_TIME_SKEW ' + " ".join(f"{step}{skew:+d}" for step, skew in attempts)


@pytest.mark.parametrize(
    ("attempts", "skews"),
    [
        ([(-2, 40), (-1, 40)], [40, 41]),  # 39 ahead is the code of the last attempt
        ([(-4, 40), (-2, 40)], [39, 40, 41]), ([(-3, -40), (-2, -40)], [-41, -40, -39]),
        ([(-4, 40), (-2, 42)], [41]), ([(-4, 42), (-2, 41)], [41, 42]), ([(-4, 42), (-2, 40)], []),
        ([(-4, 41), (-3, 40)], []), ([(-3, 41), (-1, 40)], [40, 41]),
        ([(-2, 40), (-1, 42)], []), ([(-4, 40), (-2, 43)], []), ([(-4, 43), (-2, 40)], []),
        ([(-5, 40), (-2, 40)], []), ([(-5, 40), (-3, 40)], []),
        ([(-2, 40), (-2, 41)], []), ([(-1, 40), (0, 41)], []), ([(-1, 40), (-2, 40)], []),
        ([(-4, 1499), (-2, 1499)], [1498, 1499]), ([(-4, -1499), (-2, -1499)], [-1499, -1498]),
        ([], []), ([(-1, 40)], []), ([(-9, 7), (-2, 40), (-1, 40)], [40, 41]),
        ([(-2, 40), (-1, 40), (0, 40)], []),
    ],
)  # fmt: skip
def test_which_codes_are_the_third_in_a_row(
    attempts: list[tuple[int, int]], skews: list[int]
) -> None:
    read = totp(resetting(*((HERE + at, skew) for at, skew in attempts)))
    assert steps_that_complete(read, NOW) == [HERE + skew for skew in skews]


def test_codes_before_1970_are_none() -> None:
    """A machine without a hardware clock starts there."""
    assert steps_in_window(totp(), 0) == [0, 1]
    assert steps_that_complete(totp(resetting((2, -2), (3, -2))), 120) == [2, 3]
    assert steps_that_complete(totp(resetting((2, -4), (3, -4))), 120) == []
    codes, read = HOTP(SECRET), totp()
    assert note_skew(read, codes, codes.at(0), 60) is True
    assert read.resetting == [(2, -2)]


def test_what_is_noted_of_a_code_of_another_time() -> None:
    codes, read = HOTP(SECRET), totp()
    near = {codes.at(HERE + skew) for skew in range(-1500, 1501)}
    other = next(text for n in range(10**6) if (text := f"{n:06}") not in near)
    assert note_skew(read, codes, other, NOW) is False
    assert read.resetting == []
    assert note_skew(read, codes, codes.at(HERE + 40), NOW) is True
    assert note_skew(read, codes, codes.at(HERE + 40), NOW + 30) is False
    assert read.resetting == [(HERE, 40)]
    for step in (1, 2, 3):
        assert note_skew(read, codes, codes.at(HERE + step - 40), NOW + 30 * step) is True
    assert read.resetting == [(HERE + step, -40) for step in (1, 2, 3)]


def test_of_two_times_with_one_code_the_nearer_is_noted() -> None:
    codes, read = HOTP(SECRET), totp()
    nearest: dict[str, int] = {}
    for skew in sorted(range(-1499, 1500), key=abs):
        first = nearest.setdefault(codes.at(HERE + skew), skew)
        if abs(first) < abs(skew):
            break
    assert note_skew(read, codes, codes.at(HERE + skew), NOW) is True
    assert read.resetting == [(HERE, first)]


@pytest.mark.parametrize(
    ("skews", "mean"), [((40, 41), 40), ((41, 41), 40), ((-40, -41), -40), ((-41, -40), -40)]
)
def test_the_skew_that_is_taken_over_and_what_is_used_then(
    skews: tuple[int, int], mean: int
) -> None:
    """The third is 40 away; the mean is rounded towards zero, as in C."""
    last = HERE + (40 if mean > 0 else -40)
    attempts = [(HERE - 4, skews[0]), (HERE - 2, skews[1])]
    read = totp('" WINDOW_SIZE 17', resetting(*attempts))
    adopt_skew(read, NOW, last)
    assert (read.skew, read.resetting) == (mean, [])
    assert read.used_steps == [*map(sum, attempts), last]


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused_and_kept(content: bytes) -> None:
    try:
        read = OtpState(content, "/x")
    except RecordError:
        return
    assert read.content.removesuffix(b"\n") == content.removesuffix(b"\n")
    for name in ("step", "window", "skew", "rate_limit", "used_steps", "counter", "resetting",
                 "emergency_codes", "is_time_based"):  # fmt: skip
        try:
            getattr(read, name)
        except RecordError:
            pass


@given(st.lists(st.sampled_from(['" TOTP_AUTH', '" RATE_LIMIT 3 30', "12345678", '" X_Y 1', "",
                                 '" DISALLOW_REUSE 1 2', '" STEP_SIZE 10', "\r", "# x"])),
       st.integers(1, 2**31 - 1))  # fmt: skip
def test_whatever_is_written_is_read_again(lines: list[str], step: int) -> None:
    read = state(*lines)
    spend(read, step)
    count_attempt(read, NOW)
    again = OtpState(read.content, "/x")
    assert step in again.used_steps
    assert again.emergency_codes == read.emergency_codes
    assert again.content == read.content


def test_a_library_is_debian_s_whatever_comes_first_along_the_path(tmp_path: Path) -> None:
    """/usr/local is writable for the group staff, and pip installs there."""
    (tmp_path / "pyotp.py").write_text("raise SystemExit('not this one')")
    script = (f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
              "from trex.system.packages import from_debian\nfrom_debian('pyotp', 'x')\n"
              "import pyotp; print(pyotp.__file__)\n"
              "try: from_debian('no_such', 'python3-x')\nexcept Exception as e: print(e)")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == [
        "/usr/lib/python3/dist-packages/pyotp/__init__.py", "Debian's package python3-x is missing",
    ]  # fmt: skip
