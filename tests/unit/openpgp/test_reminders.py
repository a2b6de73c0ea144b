"""What a user who was let in is told of their keys; real gpg has encrypted to them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.accounts import own_account
from tests.support.publickeys import ALICE, BOB, CAROL, DAVE, ENDS, exported, keyring
from tests.support.recovery import CODES, text
from trex.errors import GpgFailed, NotGivenBack
from trex.login.options import parse_options
from trex.openpgp import reminder
from trex.openpgp.gpg import Gpg
from trex.openpgp.record import parse_record

if TYPE_CHECKING:
    from pathlib import Path

    from trex.login.options import Options

ME = own_account()
DAY = 24 * 3600
SOON = ENDS - 7 * DAY
LEAVES_OUT = "# trex: leave-out-unusable\n"
EXTEND = f"gpg --quick-set-expire {BOB} 2y '*'"
AT_HOME = f"On your own machine: {EXTEND} && gpg --armor --export {BOB} > key.asc\n"


class Desk:
    """A record, a keyring, and the moment of a login."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.home = keyring(place / "gnupg", "until-2099", "two-subkeys", "expired")
        self._clock = monkeypatch
        monkeypatch.setattr(reminder, "MAX_SECONDS", 300)  # however busy the host is

    def options(self, *arguments: str) -> Options:
        files = f"recovery_file={self.place}/codes"
        return parse_options([files, "gpg_timeout=300", *arguments])

    def told(self, record: str, at: float = SOON, *arguments: str) -> str:
        gpg = self.login(record)
        self._clock.setattr(time, "time", lambda: at)
        return reminder.reminders(self.options(*arguments), gpg, ME)

    def login(self, record: str) -> Gpg:
        """Return a gpg that has encrypted as a record says."""
        with Gpg("/usr/bin/gpg", ME, str(self.home), 300) as gpg:
            gpg.look_up(parse_record(f"{record} trust nosign\n".encode(), "/record", "/"))
            gpg.encrypt(b"text\n", "trex")
            gpg.message()
        return gpg

    def file(self, name: str) -> Path:
        path = self.place / f"{name}'s.pgp"
        path.write_bytes(exported(name))
        return path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def expires(then: str = "you cannot log in") -> str:
    return (
        f"Trex: the encryption subkey of the key {BOB} expires on 2099-06-01. "
        f"From then on {then}.\n{AT_HOME}"
    )


@pytest.mark.parametrize(("at", "is_told"), [(ENDS - 14 * DAY, False), (ENDS - 14 * DAY + 1, True)])
def test_a_fortnight_before_a_key_ends_its_owner_is_told(
    desk: Desk, at: float, is_told: bool
) -> None:
    expected = f"{expires()}Then here: trex enroll --key key.asc"
    assert desk.told(BOB, at) == (expected if is_told else "")


def test_a_key_that_never_ends_is_not_mentioned(desk: Desk) -> None:
    assert desk.told(ALICE) == ""


@pytest.mark.parametrize(
    ("record", "people", "then"),
    [
        (f"{BOB},{ALICE}", 1, "you cannot log in"),
        (f"{LEAVES_OUT}{BOB},{ALICE}", 1, "it is left out"),
        (f"{LEAVES_OUT}{BOB},{ALICE}", 2, "you cannot log in"),
    ],
)
def test_what_becomes_of_a_login_then_depends_on_the_other_keys(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, record: str, people: int, then: str
) -> None:
    monkeypatch.setattr(Gpg, "people", people)
    assert desk.told(record) == f"{expires(then)}Then here: trex enroll --add --key key.asc"


def test_of_two_keys_that_end_soon_the_first_to_end_is_told(desk: Desk) -> None:
    keyring(desk.home, "until-2099", "until-may-2099")
    told = desk.told(f"{LEAVES_OUT}{BOB},{DAVE}")
    assert f"of the key {DAVE} expires on 2099-05-31. From then on you cannot log in." in told
    assert BOB not in told


def test_one_key_alone_is_not_left_out(desk: Desk) -> None:
    assert "From then on you cannot log in." in desk.told(f"{LEAVES_OUT}{BOB}")


def test_a_key_in_a_file_is_looked_at_and_in_central_mode_root_is_named(desk: Desk) -> None:
    path = desk.file("until-2099")
    assert desk.told(str(path)) == f"{expires()}Then here: trex enroll --key key.asc"
    central = ("run_as=nobody", "auth_file=/etc/trex/users/%u", "gnupg_home=/srv/x y")
    command = (
        "trex enroll --central --gnupg-home '/srv/x y' --run-as nobody "
        f"--user {ME.name} --key - < key.asc"
    )
    root = f"Then give key.asc to whoever administers this machine: {command}"
    assert desk.told(str(path), SOON, *central) == f"{expires()}{root}"


def test_a_key_that_was_left_out_is_named_with_what_extends_it(desk: Desk) -> None:
    others = f"Trex: the key {CAROL} cannot be used: its encryption subkey has expired"
    told = desk.told(f"{LEAVES_OUT}{CAROL},{ALICE}", time.time())
    first, home, here = told.split("\n")
    assert first.startswith(others)
    assert first.endswith("It is left out: you can log in with another key.")
    assert home.startswith("On your own machine: gpg --quick-set-expire ")
    assert home.endswith(f" && gpg --armor --export {CAROL} > key.asc")
    assert here == "Then here: trex enroll --add --key key.asc"
    told = desk.told(f"{LEAVES_OUT}{CAROL},{ALICE},{BOB}", time.time())
    assert "you can log in with 2 other keys." in told


def test_of_a_file_or_a_key_that_is_not_there_only_that_is_told(desk: Desk) -> None:
    missing = "0" * 40
    told = desk.told(f"{LEAVES_OUT}{missing},{desk.file('expired')},{ALICE}", time.time())
    first, second = told.split("\n")
    assert first.startswith("Trex: the key ")
    assert second.startswith("Trex: the key ")
    assert "On your own machine" not in told


def test_codes_that_were_used_are_told_first(desk: Desk) -> None:
    codes = desk.place / "codes"
    codes.write_text(text(ME.uid, spent={CODES[0]: int(SOON) - DAY}))
    codes.chmod(0o600)
    first, *_, last = desk.told(BOB).split("\n")
    assert first.startswith("Trex: a recovery code was used on ")
    assert last == "Then here: trex enroll --key key.asc"


def test_what_fails_costs_nothing_else_but_for_ids_that_are_not_given_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = desk.place / "codes"
    codes.write_text("no such file of codes")
    codes.chmod(0o600)
    assert desk.told(BOB).startswith(f"Trex: the encryption subkey of the key {BOB}")

    def fail(*_: object) -> str:
        raise NotGivenBack("cannot act as uid 0 again")

    def fail_otherwise(*_: object) -> str:
        raise GpgFailed("x")

    monkeypatch.setattr(reminder, "look_ahead", fail_otherwise)
    assert desk.told(BOB) == ""
    monkeypatch.setattr(reminder, "look_at_left_out", fail)
    with pytest.raises(NotGivenBack):
        desk.told(BOB)
