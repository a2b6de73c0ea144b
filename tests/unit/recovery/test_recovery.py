"""The verdict on a recovery code, and what a login writes, also beside others; see tests/system."""

from __future__ import annotations

import os
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.accounts import own_account
from tests.support.recovery import CODES, hashed, spent_in, text
from trex.errors import ACCEPTED, LATE, MISSING, WRONG, NoRecord, OtherAccount, Outcome
from trex.login import challenge as challenge_module
from trex.login.method import Login
from trex.login.options import parse_options
from trex.recovery import method as recovery
from trex.recovery.errors import CodeGone, NoCodeLeft
from trex.recovery.notice import after_use, make_command, moment
from trex.system import rewriting, secretfile
from trex.system.rewriting import name_beside
from trex.system.secretfile import StateNotWritten, remove_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_795_800_384
DAY = 24 * 3600


class Sheet:
    """A user's file, and logins one after another."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.me = own_account()
        self.login = Login("x", "sshd", "", [])
        self.meanwhile: Callable[[], None] = lambda: None

    def write(self, **spent: int) -> None:
        self.write_text(text(self.me.uid, spent={CODES[int(n[1:])]: at for n, at in spent.items()}))

    def write_text(self, content: str) -> None:
        self.path.unlink(missing_ok=True)
        self.path.write_text(content)
        self.path.chmod(0o600)

    def answer(self, answer: str | None, *arguments: str) -> Outcome:
        options = parse_options(["method=recovery", f"recovery_file={self.path}", *arguments])
        self.login = Login(self.me.name, "sshd", "", [])
        with recovery.prepare(self.login, options, self.me, self.me) as challenge:
            self.meanwhile()
            return challenge.judge(answer)

    @property
    def spent(self) -> list[str]:
        return spent_in(self.path)

    @property
    def told(self) -> str:
        return self.login.reminder() if self.login.reminder else ""

    @property
    def warnings(self) -> list[str]:
        return [warning.removeprefix(f"{self.path}: ") for warning in self.login.warnings]


@pytest.fixture
def sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sheet:
    monkeypatch.setattr(time, "time", lambda: NOW + 0.9)
    monkeypatch.setattr(rewriting, "sleep", lambda _: None)
    made = Sheet(tmp_path / "codes")
    made.write()
    return made


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (CODES[0], ACCEPTED), (CODES[2].lower(), ACCEPTED), (f" {CODES[1]}\n", ACCEPTED),
        (CODES[0][:-1], WRONG), (f"{CODES[0]}0", WRONG), (f"1 {CODES[0]}", WRONG),
        (f"{CODES[0]} {CODES[1]}", WRONG), (hashed(CODES[0]), WRONG), ("x", WRONG),
        ("\udcff", MISSING), ("---", MISSING), ("", MISSING), (" ", MISSING), (None, MISSING),
    ],
)  # fmt: skip
def test_what_is_right(sheet: Sheet, answer: str | None, outcome: Outcome) -> None:
    before = sheet.path.read_bytes()
    assert sheet.answer(answer) is outcome
    assert (sheet.path.read_bytes() == before) is (outcome is not ACCEPTED)
    assert sheet.warnings == (["a recovery code was used, 2 left"] if outcome is ACCEPTED else [])
    assert sheet.login.steps == []


def test_a_code_is_right_once_and_the_file_says_when(sheet: Sheet) -> None:
    assert sheet.answer(CODES[1]) is ACCEPTED
    assert sheet.path.read_text() == text(sheet.me.uid, spent={CODES[1]: NOW})
    assert sheet.path.stat().st_mode & 0o7777 == 0o600
    assert sheet.told == (
        "Trex: this recovery code is spent; 2 are left.\n"
        f"New ones: trex recovery make --recovery-file {sheet.path}"
    )
    assert sheet.answer(CODES[1]) is WRONG
    assert sheet.warnings == [
        "a recovery code was offered again after its use: someone may have seen it"
    ]
    assert sheet.told == ""
    assert sheet.answer(CODES[0]) is ACCEPTED
    assert sheet.warnings == ["a recovery code was used, 1 left"]
    before = f"Before, a recovery code was used on {moment(NOW)}. If that was not you, "
    assert f"; 1 is left. {before}" in sheet.told
    assert sheet.answer(CODES[2]) is ACCEPTED
    before = f"Before, 2 recovery codes were used, the last on {moment(NOW)}. "
    assert f"; none is left. {before}" in sheet.told
    with pytest.raises(NoCodeLeft, match=r"codes: no recovery code is left$"):
        sheet.answer(CODES[2], "nullok")


def test_who_has_none_has_no_record(sheet: Sheet) -> None:
    sheet.path.unlink()
    with pytest.raises(NoRecord):
        sheet.answer("x")


def test_what_is_late_spends_nothing(sheet: Sheet, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 600.0])
    monkeypatch.setattr(challenge_module, "now", lambda: next(clock))
    assert sheet.answer(CODES[0]) is LATE
    assert (sheet.spent, sheet.warnings) == ([], [])


def test_a_file_that_changes_while_the_user_thinks_is_read_again(sheet: Sheet) -> None:
    sheet.meanwhile = lambda: sheet.write(n0=1)
    assert sheet.answer(CODES[0]) is WRONG
    sheet.write()
    salt = "ff" * 16
    new = text(sheet.me.uid).replace("00112233445566778899aabbccddeeff", salt)
    for code in CODES:
        new = new.replace(hashed(code), hashed(code, salt))
    sheet.meanwhile = lambda: sheet.write_text(new)
    assert sheet.answer(CODES[0]) is ACCEPTED, "with the salt that the file has now"
    sheet.write()
    sheet.meanwhile = lambda: sheet.write_text(text(sheet.me.uid + 1))
    with pytest.raises(OtherAccount):
        sheet.answer(CODES[0])


@pytest.fixture
def overtake(sheet: Sheet, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let another login write just before each of this one's first `times` attempts."""

    def set_up(write: Callable[[], None], times: int = 1) -> None:
        original, attempts = rewriting.replace_in, count()

        def replace(directory: int, name: str, read: os.stat_result, content: bytes) -> None:
            if next(attempts) < times:
                write()
            original(directory, name, read, content)

        monkeypatch.setattr(secretfile, "replace_in", replace)

    return set_up


def test_of_two_logins_with_two_codes_both_get_in_and_both_codes_are_spent(
    sheet: Sheet, overtake: Callable[..., None]
) -> None:
    overtake(lambda: sheet.write(n1=NOW))
    assert sheet.answer(CODES[0]) is ACCEPTED
    assert sheet.spent == list(CODES[:2])
    assert sheet.warnings == ["a recovery code was used, 1 left"], "once, and the last count"


def test_of_two_logins_with_one_code_one_gets_in(
    sheet: Sheet, overtake: Callable[..., None]
) -> None:
    overtake(lambda: sheet.write(n0=NOW - 1))
    with pytest.raises(CodeGone) as caught:
        sheet.answer(CODES[0])
    assert caught.value.outcome is WRONG
    assert sheet.path.read_text() == text(sheet.me.uid, spent={CODES[0]: NOW - 1})
    assert sheet.warnings == []


def test_a_login_that_is_always_overtaken_is_refused(
    sheet: Sheet, overtake: Callable[..., None]
) -> None:
    overtake(sheet.write, times=100)
    with pytest.raises(StateNotWritten, match=r"codes was changed by other logins$"):
        sheet.answer(CODES[0])
    assert (sheet.spent, sheet.warnings) == ([], [])


def test_a_second_try_does_not_wait_for_its_own_lock(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer may be about to replace the file, and end before it does."""
    attempts = count()
    granted: list[bool] = []
    replace_in = rewriting.replace_in

    def replace(directory: int, name: str, read: os.stat_result, content: bytes) -> None:
        if next(attempts) == 0:
            raise rewriting.Overtaken
        replace_in(directory, name, read, content)

    def take_turn(descriptor: int, deadline: float) -> bool:
        granted.append(rewriting.take_turn(descriptor, deadline))
        return granted[-1]

    monkeypatch.setattr(secretfile, "replace_in", replace)
    monkeypatch.setattr(secretfile, "TURN_SECONDS", -1.0)
    monkeypatch.setattr(secretfile, "take_turn", take_turn)
    assert sheet.answer(CODES[0]) is ACCEPTED
    assert granted == [True, True]
    assert sheet.warnings == ["a recovery code was used, 2 left"]


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        ([], ("Recovery code: ", False)),
        (["echo"], ("Recovery code: ", True)),
        (["prompt=Paper?"], ("Paper?", False)),
    ],
)
def test_the_question(sheet: Sheet, arguments: list[str], question: tuple[str, bool]) -> None:
    options = parse_options(["method=recovery", f"recovery_file={sheet.path}", *arguments])
    with recovery.prepare(sheet.login, options, sheet.me, sheet.me) as challenge:
        assert (challenge.question, challenge.echo) == question
        assert challenge.information == ""


def test_nothing_stays_open(sheet: Sheet) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for answer in (CODES[0], "x", None):
        sheet.answer(answer)
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("spent", "says"),
    [
        ({}, ""),
        ({"n0": NOW - 30 * DAY + 1}, "a recovery code was used on "),
        ({"n0": NOW - 30 * DAY}, ""),
        ({"n0": NOW + 30 * DAY - 1}, "a recovery code was used on "),
        ({"n0": NOW + 31 * DAY}, ""),
        ({"n0": NOW - 31 * DAY, "n1": NOW}, "a recovery code was used on "),
        ({"n0": NOW - 5, "n1": NOW - 6}, "2 recovery codes were used, the last on "),
    ],
)
def test_what_a_login_with_the_key_tells(sheet: Sheet, spent: dict[str, int], says: str) -> None:
    sheet.write(**spent)
    options = parse_options([f"recovery_file={sheet.path}"])
    told = after_use(options, sheet.me, sheet.me)
    assert told.startswith(f"Trex: {says}") if says else told == ""
    if says:
        moment = time.strftime("%Y-%m-%d at %H:%M", time.localtime(max(spent.values())))
        left = "1 is left" if len(spent) == 2 else "2 are left"
        assert f" {moment}; {left}. If that was not you, somebody has them.\n" in told
        assert told.endswith(f"\nNew ones: trex recovery make --recovery-file {sheet.path}")
        options.run_as = "_trex"
        where = f"trex recovery make --central --recovery-file {sheet.path} --user {sheet.me.name}"
        assert after_use(options, sheet.me, sheet.me).endswith(
            f"\nNew ones, from whoever administers this machine: {where}"
        )
    sheet.path.unlink()
    assert after_use(options, sheet.me, sheet.me) == ""


@pytest.mark.parametrize(
    ("arguments", "user", "command"),
    [
        ([], "", "trex recovery make"),
        ([], "alice", "trex recovery make --user alice"),
        (["recovery_file=/x/%u"], "", "trex recovery make --recovery-file /x/%u"),
        (["recovery_file=/var/lib/trex/recovery/%u", "run_as=_trex"], "alice",
         "trex recovery make --central --user alice"),
        (["recovery_file=/x/%u", "run_as=nobody"], "alice",
         "trex recovery make --central --recovery-file /x/%u --run-as nobody --user alice"),
    ],
)  # fmt: skip
def test_the_command_that_makes_new_ones_there(
    arguments: list[str], user: str, command: str
) -> None:
    assert make_command(parse_options(["method=recovery", *arguments]), user) == command


def test_codes_that_are_removed_while_a_login_spends_one_stay_removed(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns a cgroup can freeze a login of theirs between the last look and the rename."""
    is_unchanged = rewriting._is_unchanged

    def look_and_be_frozen(*what: Any) -> bool:
        found = is_unchanged(*what)
        remove_secret(str(sheet.path), sheet.me)
        return found

    monkeypatch.setattr(rewriting, "_is_unchanged", look_and_be_frozen)
    with pytest.raises(NoRecord):
        sheet.answer(CODES[0])
    assert list(sheet.path.parent.iterdir()) == []


def test_a_login_that_is_faster_than_the_removal_has_its_file_removed(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, waiting = os.unlink, sheet.path.with_name("waiting")
    sheet.path.rename(waiting)

    def unlink_and_let_go_on(name: str, **where: Any) -> None:
        unlink(name, **where)
        monkeypatch.setattr(os, "unlink", unlink)
        waiting.rename(sheet.path)

    sheet.write()
    killed = sheet.path.with_name(name_beside(str(sheet.path)))
    killed.mkdir()
    (killed / "left").touch()
    monkeypatch.setattr(os, "unlink", unlink_and_let_go_on)
    remove_secret(str(sheet.path), sheet.me)
    assert list(sheet.path.parent.iterdir()) == []
