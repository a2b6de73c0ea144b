"""The verdict on a code, and what each attempt writes; tests/system does the same through PAM."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pyotp import HOTP

import trex.login.challenge
import trex.system.servant
from tests.support.accounts import own_account
from trex.errors import (
    ACCEPTED,
    LATE,
    MISSING,
    WRONG,
    ConversationFailed,
    OtherAccount,
    Outcome,
    ProgramFailed,
    TooManyAttempts,
    TrexError,
)
from trex.login.method import Login
from trex.login.options import parse_options
from trex.system.secretfile import LockedFile, StateNotWritten
from trex.totp import fleet as fleets
from trex.totp import method as totp
from trex.totp.errors import CodeSpent

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEE"  # noqa: S105 (a test's)
NOW = 1_700_000_000
HERE = NOW // 30
SKEW_NOTED = "that is the code of another time: its skew is noted"
WARNING = "a code was offered again after its use: someone may have seen it"


def code(at: int) -> str:
    return HOTP(SECRET).at(at)


class Application:
    """A conversation with a prepared answer."""

    def __init__(self, answer: str | None, earlier: str | None = None) -> None:
        self.answer = answer
        self.earlier = earlier
        self.asked: list[tuple[str, bool]] = []
        self.passed_on: list[str] = []

    def ask(self, question: str, *, echo: bool) -> str | None:
        self.asked.append((question, echo))
        return self.answer

    def inform(self, text: str) -> None:
        raise AssertionError("a code needs no message")

    def earlier_password(self) -> str | None:
        return self.earlier

    def pass_on(self, password: str) -> None:
        self.passed_on.append(password)


class Phone:
    """A user's file, a clock that the test sets, and logins one after another."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW
        self.login = Login("x", "sshd", "", [])
        self.application = Application(None)

    def write(self, *lines: str) -> None:
        self.path.write_text("".join(f"{line}\n" for line in (SECRET, *lines)))
        self.path.chmod(0o600)

    @property
    def lines(self) -> list[str]:
        return self.path.read_text().split("\n")[1:-1]

    def answer(self, answer: str | None, *arguments: str, earlier: str | None = None) -> Outcome:
        options = parse_options(
            ["method=totp", "sms_user=nobody", f"secret={self.path}", *arguments]
        )
        me = own_account()
        self.login = Login(me.name, "sshd", "", [])
        self.application = Application(answer, earlier)
        with totp.prepare(self.login, options, me, me) as challenge:
            return challenge.judge(challenge.obtain(self.application))

    @property
    def warnings(self) -> list[str]:
        return [text.removeprefix(f"{self.path}: ") for text in self.login.warnings]


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    made = Phone(tmp_path / "secret")
    monkeypatch.setattr(totp, "time", SimpleNamespace(time=lambda: made.now + 0.9))
    return made


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (code(HERE), ACCEPTED), (code(HERE - 1), ACCEPTED), (code(HERE + 1), ACCEPTED),
        (f" {code(HERE)}\n", ACCEPTED), (code(HERE - 2), WRONG), (code(HERE + 2), WRONG),
        (f"x{code(HERE)}", WRONG), (f"x {code(HERE)}", WRONG), (f"{code(HERE)}0", WRONG),
        (code(HERE)[1:], WRONG), ("12345678", ACCEPTED), ("12345679", WRONG),
        ("", MISSING), (None, MISSING),
    ],
)  # fmt: skip
def test_the_codes_of_now_and_beside_it(phone: Phone, answer: str, outcome: Outcome) -> None:
    phone.write('" TOTP_AUTH', "12345678")
    assert phone.answer(answer) is outcome
    assert phone.application.asked == [("Verification code: ", False)]
    assert phone.application.passed_on == []


def test_a_code_is_used_once_and_somebody_who_saw_it_is_told_of(phone: Phone) -> None:
    phone.write('" TOTP_AUTH')
    assert phone.answer(code(HERE)) is ACCEPTED
    assert phone.lines == [f'" TREX_USED_STEPS {HERE}', '" TOTP_AUTH']
    assert phone.warnings == []
    assert phone.answer(code(HERE)) is WRONG
    assert phone.warnings == [WARNING]
    assert phone.answer(code(HERE + 1)) is ACCEPTED


@pytest.mark.parametrize("arguments", [(), ("try_first_pass",)])
def test_a_file_that_becomes_another_account_s_while_the_prompt_is_open_lets_nobody_in(
    phone: Phone, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """As where an account is removed, and its name and its central secret are the next one's."""
    phone.write('" TOTP_AUTH', "12345678")
    theirs = f'" TREX_UID {own_account().uid + 7}', '" RATE_LIMIT 3 30', '" TOTP_AUTH', "12345678"
    prepare = totp.prepare

    def later(*told: Any) -> Any:
        challenge = prepare(*told)
        phone.write(*theirs)
        return challenge

    monkeypatch.setattr(totp, "prepare", later)
    with pytest.raises(OtherAccount):
        phone.answer("12345678", *arguments, earlier="12345678")
    assert phone.lines == list(theirs), "not even the attempt is in it"


def test_an_emergency_code_is_used_once(phone: Phone) -> None:
    phone.write('" TOTP_AUTH', "12345678", "23456789")
    assert phone.answer("12345678") is ACCEPTED
    assert phone.warnings == ["an emergency code was used, 1 left"]
    assert phone.lines == ['" TOTP_AUTH', "23456789"]
    assert phone.answer("12345678") is WRONG


def test_nothing_but_emergency_codes_where_the_file_says_nothing_of_time(phone: Phone) -> None:
    phone.write("12345678")
    assert phone.answer(code(HERE)) is WRONG
    assert phone.lines == ["12345678"]
    assert phone.answer("12345678") is ACCEPTED


@pytest.mark.parametrize(
    ("answer", "arguments", "outcome", "counter"),
    [
        (code(5), (), ACCEPTED, 6), (code(7), (), ACCEPTED, 8), (code(8), (), WRONG, 6),
        (code(4), (), WRONG, 6), (code(4), ("no_increment_hotp",), WRONG, 5),
        ("x", (), WRONG, 5), ("12345", (), WRONG, 5), ("12345x", (), WRONG, 5),
        ("12345\u0663", (), WRONG, 5),
    ],
)  # fmt: skip
def test_a_counter_moves_on_with_each_code(
    phone: Phone, answer: str, arguments: tuple[str, ...], outcome: Outcome, counter: int
) -> None:
    phone.write('" HOTP_COUNTER 5', '" TOTP_AUTH')
    assert phone.answer(answer, *arguments) is outcome
    assert phone.lines == [f'" HOTP_COUNTER {counter}', '" TOTP_AUTH']
    assert phone.warnings == phone.login.steps == []


@pytest.mark.parametrize("counter", [2**31 - 1, 2**31, 2**63 - 2, 2**63 - 1])
def test_whatever_a_counter_says_what_is_written_is_read_again(phone: Phone, counter: int) -> None:
    """google-authenticator keeps it in a long, so it can exceed 2147483647."""
    for answer in (code(counter), "000000"):
        phone.write(f'" HOTP_COUNTER {counter}', "12345678")
        last = counter == 2**63 - 1
        right = answer == code(counter) and not last
        assert phone.answer(answer) is (ACCEPTED if right else WRONG)
        assert phone.lines[0] == f'" HOTP_COUNTER {counter if last else counter + 1}'
        assert phone.answer("12345678") is ACCEPTED


def three_in_a_row(phone: Phone, *arguments: str) -> list[Outcome]:
    outcomes = []
    for attempt in range(3):
        phone.now = NOW + 30 * attempt
        outcomes.append(phone.answer(code(HERE + attempt + 40), *arguments))
        assert phone.login.steps == ([] if arguments or attempt == 2 else [SKEW_NOTED])
    return outcomes


def test_three_codes_in_a_row_of_a_clock_that_is_wrong(phone: Phone) -> None:
    phone.write('" TOTP_AUTH')
    assert three_in_a_row(phone) == [WRONG, WRONG, ACCEPTED]
    assert '" TIME_SKEW 40' in phone.lines
    assert phone.answer(code(HERE + 42)) is WRONG, "it was used"
    assert phone.answer(code(HERE + 43)) is ACCEPTED


def test_without_adjustment_a_clock_stays_wrong(phone: Phone) -> None:
    phone.write('" TOTP_AUTH')
    assert three_in_a_row(phone, "noskewadj") == [WRONG] * 3
    assert phone.lines == ['" TOTP_AUTH']


def test_a_wrong_code_of_no_time_changes_nothing(phone: Phone) -> None:
    phone.write('" TOTP_AUTH')
    near = {code(HERE + skew) for skew in range(-1500, 1501)}
    other = next(text for n in range(10**6) if (text := f"{n:06}") not in near)
    assert phone.answer(other) is WRONG
    assert phone.lines == ['" TOTP_AUTH']
    assert phone.login.steps == phone.warnings == []


def test_each_attempt_counts_and_past_the_limit_none_is_right(phone: Phone) -> None:
    phone.write('" RATE_LIMIT 2 30', '" TOTP_AUTH')
    assert phone.answer("000000", "noskewadj") is WRONG
    assert phone.lines[0] == f'" RATE_LIMIT 2 30 {NOW}'
    phone.now += 1
    assert phone.answer(code(HERE)) is ACCEPTED
    phone.now += 1
    with pytest.raises(TooManyAttempts, match=f"^{phone.path}: more than 2 attempts in 30"):
        phone.answer(code(HERE + 1))
    assert f'" RATE_LIMIT 2 30 {NOW + 1} {NOW + 2}' in phone.lines
    phone.now += 30
    assert phone.answer(code(HERE + 1)) is ACCEPTED


@pytest.mark.parametrize("answer", [code(HERE), "000000"])
def test_an_attempt_counts_before_it_is_judged(
    phone: Phone, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """A user can end their own su there, or keep it from writing."""
    phone.write('" RATE_LIMIT 2 30', '" TOTP_AUTH')
    seen = []

    def compare(offered: str, text: str) -> bool:
        seen.append(phone.lines)
        return offered == text

    monkeypatch.setattr(trex.login.challenge, "is_equal", compare)
    assert phone.answer(answer) is (ACCEPTED if answer == code(HERE) else WRONG)
    assert seen == [[f'" RATE_LIMIT 2 30 {NOW}', '" TOTP_AUTH']] * 3
    assert phone.path.read_text().count(str(NOW)) == 1, "and once"


def test_what_is_late_spends_nothing(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    phone.write('" TOTP_AUTH')
    boot = trex.login.challenge.now()
    moments = iter([boot, boot + 600])
    monkeypatch.setattr(trex.login.challenge, "now", lambda: next(moments))
    assert phone.answer(code(HERE)) is LATE
    assert phone.lines == ['" TOTP_AUTH']


# ---------------------------------------------------------------------------- with passwords


@pytest.mark.parametrize(
    ("answer", "outcome", "passed_on"),
    [
        (f"a word {code(HERE)}", ACCEPTED, ["a word "]), (code(HERE), ACCEPTED, [""]),
        ("secret12345678", ACCEPTED, ["secret"]), (f"{code(HERE)} ", WRONG, []),
        (f"{code(HERE)}x", WRONG, []), ("secret", WRONG, []), (code(HERE)[1:], WRONG, []),
    ],
)  # fmt: skip
def test_a_password_before_the_code_is_passed_on(
    phone: Phone, answer: str, outcome: Outcome, passed_on: list[str]
) -> None:
    phone.write('" TOTP_AUTH', "12345678")
    assert phone.answer(answer, "forward_pass") is outcome
    assert phone.application.asked == [("Password & verification code: ", False)]
    assert phone.application.passed_on == passed_on


def test_a_failure_behind_a_password_is_noted(phone: Phone) -> None:
    phone.write('" HOTP_COUNTER 5')
    assert phone.answer(f"secret{code(99)}", "forward_pass") is WRONG
    assert phone.lines == ['" HOTP_COUNTER 6']


@pytest.mark.parametrize(
    ("argument", "earlier", "answer", "outcome", "is_asked"),
    [
        ("use_first_pass", f"a b{code(HERE)}", None, ACCEPTED, False),
        ("use_first_pass", "secret", code(HERE), WRONG, False),
        ("use_first_pass", None, code(HERE), MISSING, False),
        ("try_first_pass", f"a b{code(HERE)}", None, ACCEPTED, False),
        ("try_first_pass", "secret", code(HERE), ACCEPTED, True),
        ("try_first_pass", "secret", f"x{code(HERE)}", WRONG, True),
        ("try_first_pass", "", code(HERE), ACCEPTED, True),
        ("try_first_pass", None, "x", WRONG, True),
        ("debug", code(HERE), "x", WRONG, True),
    ],
)
def test_a_code_in_an_earlier_password(
    phone: Phone, argument: str, earlier: str | None, answer: str | None, outcome: Outcome,
    is_asked: bool,
) -> None:  # fmt: skip
    phone.write('" TOTP_AUTH', "12345678")
    assert phone.answer(answer, argument, earlier=earlier) is outcome
    assert bool(phone.application.asked) == is_asked
    assert phone.application.passed_on == []


def test_a_guess_in_an_earlier_password_counts_and_only_once(phone: Phone) -> None:
    phone.write('" RATE_LIMIT 1 30', '" TOTP_AUTH')
    lines = []

    def look(question: str, *, echo: bool) -> str:
        lines.extend(phone.lines)
        return code(HERE)

    options = parse_options(["method=totp", f"secret={phone.path}", "try_first_pass"])
    me = own_account()
    application = Application(None, "secret")
    application.ask = look  # type: ignore[method-assign]
    with totp.prepare(Login("x", "sshd", "", []), options, me, me) as challenge:
        assert challenge.judge(challenge.obtain(application)) is ACCEPTED
    assert lines == [f'" RATE_LIMIT 1 30 {NOW}', '" TOTP_AUTH'], "before anybody was asked"
    assert f'" RATE_LIMIT 1 30 {NOW}' in phone.lines
    with pytest.raises(TooManyAttempts):
        phone.answer(code(HERE + 1), "try_first_pass", earlier="secret")


@pytest.mark.parametrize("argument", ["echo", "prompt=Code?_"])
def test_what_is_shown(phone: Phone, argument: str) -> None:
    phone.write('" TOTP_AUTH')
    phone.answer("x", argument)
    [(question, echo)] = phone.application.asked
    assert (question.startswith("Code?"), echo) == (argument != "echo", argument == "echo")


# ---------------------------------------------------------------------------- the fleet


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What the fleet's program was told; it answers that the code is new."""
    told: list[dict[str, str]] = []
    monkeypatch.setattr(fleets, "read_fleet", lambda _options: "redis://x")
    monkeypatch.setattr(fleets, "find_servant", lambda *named: named)
    answer_with(monkeypatch, told, ("claimed", ""))
    return told


def answer_with(
    monkeypatch: pytest.MonkeyPatch, told: list[dict[str, str]], said: tuple[str, str] | Exception
) -> None:
    def have_done(servant: object, program: str, tells: dict[str, str]) -> tuple[str, str]:
        assert (servant, program) == (("sms_user", "nobody"), "trex.totp.claim")
        told.append(tells)
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(fleets, "have_done", have_done)


def test_each_code_is_claimed_under_a_name_of_its_own(
    phone: Phone, fleet: list[dict[str, str]]
) -> None:
    for line, answer in (
        ('" TOTP_AUTH', code(HERE)), ('" TOTP_AUTH', code(HERE + 1)),
        (f'" HOTP_COUNTER {HERE}', code(HERE)), ('" TOTP_AUTH', "12345678"),
        ('" TOTP_AUTH', code(HERE)),
    ):  # fmt: skip
        phone.write(line, "12345678")
        assert phone.answer(answer, "fleet") is ACCEPTED
    names = [one["name"] for one in fleet]
    assert {(one["state"], len(one["name"])) for one in fleet} == {("redis://x", 64)}
    assert len(set(names)) == 4
    assert names[0] == names[4], "from host to host the same"


def test_one_code_at_two_times_is_two_codes(phone: Phone, fleet: list[dict[str, str]]) -> None:
    """Otherwise the second would count as used, once in a million times."""
    seen: dict[str, int] = {}
    later = next(step for step in count(HERE) if seen.setdefault(code(step), step) < step)
    for step in (seen[code(later)], later):
        phone.write('" TOTP_AUTH')
        phone.now = 30 * step
        assert phone.answer(code(later), "fleet") is ACCEPTED
    assert fleet[0]["name"] != fleet[1]["name"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (("spent", ""), CodeSpent), (("failed", "no Redis"), StateNotWritten),
        (("", ""), StateNotWritten), (ProgramFailed("no answer"), StateNotWritten),
    ],
)  # fmt: skip
def test_a_code_that_the_fleet_does_not_grant_is_refused_and_stays(
    phone: Phone, fleet: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch,
    said: tuple[str, str] | Exception, error: type[TrexError],
) -> None:  # fmt: skip
    phone.write('" TOTP_AUTH')
    answer_with(monkeypatch, fleet, said)
    with pytest.raises(error):
        phone.answer(code(HERE), "fleet")
    assert phone.lines == ['" TOTP_AUTH']
    assert len(fleet) == 1


def told_of(fleet: list[dict[str, str]]) -> list[tuple[str, bool]]:
    return [(one["name"], bool(one.get("release"))) for one in fleet]


def test_what_is_late_is_not_claimed(
    phone: Phone, fleet: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.write('" TOTP_AUTH')
    boot = trex.login.challenge.now()
    moments = iter([boot, boot + 600])
    monkeypatch.setattr(trex.login.challenge, "now", lambda: next(moments))
    assert phone.answer(code(HERE), "fleet") is LATE
    assert fleet == []


@pytest.mark.parametrize("arguments", [(), ("forward_pass",)])
def test_a_code_that_is_refused_because_of_the_file_is_given_back(
    phone: Phone, fleet: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:  # fmt: skip
    """Otherwise it would be spent, although no login succeeded with it."""
    phone.write('" TOTP_AUTH', "12345678")
    for answer in (code(HERE), "12345678"):
        fleet.clear()
        with monkeypatch.context() as patch:
            patch.setattr(LockedFile, "replace", no_room)
            with pytest.raises(StateNotWritten, match="no room"):
                phone.answer(answer, "fleet", *arguments)
        [(name, first), (again, second)] = told_of(fleet)
        assert (name, first, second) == (again, False, True)
        assert fleet[0]["token"] == fleet[1]["token"]
        assert phone.warnings == [], "none was used"
        assert phone.answer(answer, "fleet", *arguments) is ACCEPTED
        assert fleet[2]["token"] != fleet[0]["token"]
        assert len(fleet) == 3


def no_room(*_: object) -> None:
    raise StateNotWritten("no room")


def test_a_code_behind_a_password_that_cannot_be_passed_on_is_not_spent(
    phone: Phone, fleet: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.write('" TOTP_AUTH')
    monkeypatch.setattr(Application, "pass_on", cannot_pass_on)
    with pytest.raises(ConversationFailed):
        phone.answer(f"x{code(HERE)}", "fleet", "forward_pass")
    assert phone.lines == ['" TOTP_AUTH']
    assert [released for _, released in told_of(fleet)] == [False, True]


def cannot_pass_on(*_: object) -> None:
    raise ConversationFailed("the password could not be passed on")


def test_a_code_that_cannot_be_given_back_is_refused_for_the_first_reason(
    phone: Phone, fleet: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.write('" TOTP_AUTH')

    def fail_at_release(servant: object, program: str, tells: dict[str, str]) -> tuple[str, str]:
        if tells.get("release"):
            raise ProgramFailed("no answer")
        return "claimed", ""

    monkeypatch.setattr(fleets, "have_done", fail_at_release)
    monkeypatch.setattr(LockedFile, "replace", no_room)
    with pytest.raises(StateNotWritten, match="no room"):
        phone.answer(code(HERE), "fleet")
    assert phone.login.steps == ["the code could not be given back to the fleet: no answer"]


def test_a_password_before_a_code_that_the_fleet_has_had_is_not_passed_on(
    phone: Phone, fleet: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.write('" TOTP_AUTH')
    answer_with(monkeypatch, fleet, ("spent", ""))
    with pytest.raises(CodeSpent):
        phone.answer(f"x{code(HERE)}", "fleet", "forward_pass")
    assert phone.application.passed_on == []
    assert len(fleet) == 1, "nothing of another host's is given back"


def test_nobody_asks_the_fleet_about_a_wrong_code_or_without_the_argument(
    phone: Phone, fleet: list[dict[str, str]]
) -> None:
    phone.write('" TOTP_AUTH')
    assert phone.answer("x", "fleet") is WRONG
    assert phone.answer(code(HERE)) is ACCEPTED
    assert fleet == []
