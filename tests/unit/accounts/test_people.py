"""With which accounts people log in, and where their enrolments are."""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING

import click
import pytest

from trex.cli.accounts.enrolment import Enrolled
from trex.cli.accounts.gathering import TEMPLATES, is_in_one_directory
from trex.cli.accounts.keys import MOST_USER_IDS, FewUserIds, Ring
from trex.cli.accounts.listing import parse_days
from trex.cli.accounts.overview import STATES, STATUS, WORST, AccountLine, Overview, WayIn
from trex.cli.accounts.people import UID_MAX, UID_MIN, everybody, expired_names, known, uid_range
from trex.cli.accounts.sources import PLACES
from trex.cli.doctor.doors import is_enough
from trex.cli.doctor.stack import Rule, parse_control
from trex.login.options import METHODS
from trex.openpgp.keylist import parse_listing

if TYPE_CHECKING:
    from pathlib import Path


def test_every_method_has_its_places() -> None:
    assert set(PLACES) == set(METHODS)
    assert {*TEMPLATES, "sms"} == set(METHODS)
    for method, names in PLACES.items():
        assert set(names) <= set(METHODS[method])


def test_the_range_of_uids_is_login_defs(tmp_path: Path) -> None:
    path = tmp_path / "login.defs"
    assert uid_range(str(path)) == (UID_MIN, UID_MAX)
    path.write_text("# UID_MIN 1\nUID_MIN\t\t  500\nUID_MAX x\nUID_MIN_SUB 7\n\nUID_MAX 700 # so\n")
    assert uid_range(str(path)) == (500, 700)


def test_who_has_expired_is_shadow_s_eighth_field(tmp_path: Path) -> None:
    path = tmp_path / "shadow"
    path.write_text("a:!:1:0:99999:7::18000:\nb:!:1:0:99999:7::\nc:!:1:0:99999:7::99999:\nd:*\n")
    assert expired_names(str(path)) == {"a"}


def test_everybody_is_the_database_s(monkeypatch: pytest.MonkeyPatch) -> None:
    people = everybody()
    assert people["root"].account.uid == 0
    assert not people["root"].may_log_in
    entry = pwd.struct_passwd(("../x", "x", 5000, 5000, "", "/", "/bin/sh"))
    other = pwd.struct_passwd(("root", "x", 5000, 5000, "", "/", "/bin/sh"))
    listed = [*pwd.getpwall(), entry, other]
    monkeypatch.setattr(pwd, "getpwall", lambda: listed)
    assert "../x" not in everybody()
    assert everybody()["root"].account.uid == 0, "the first one counts"


def test_whoever_is_not_listed_is_looked_up_once() -> None:
    people = everybody()
    del people["root"]
    assert known("root", people)
    assert people["root"].account.uid == 0
    assert not known("no-such-account", people)
    assert not known("../root", people)


@pytest.mark.parametrize(
    ("template", "is_one"),
    [
        ("/etc/trex/users/%u", True),
        ("/etc/100%%/x-%u.rec", True),
        ("/etc/%%u%u%%", True),
        ("/etc/%%h/%u", True),
        ("/etc/trex/%u/record", False),
        ("%h/.auth_gpg", False),
        ("/etc/trex/%u%u", False),
        ("/etc/trex/one", False),
    ],
)
def test_which_templates_name_one_directory(template: str, *, is_one: bool) -> None:
    assert is_in_one_directory(template) is is_one


@pytest.mark.parametrize(
    ("control", "enough"),
    [
        ("sufficient", True), ("required", False), ("requisite", False), ("optional", False),
        ("success=1 default=ignore", True), ("success=done default=die", False),
        ("success=ok default=ignore", False),
    ],
)  # fmt: skip
def test_which_line_is_enough_alone(control: str, *, enough: bool) -> None:
    rule = Rule("/etc/pam.d/x", 1, control, parse_control(control), "pam_trex.so", [], 0)
    assert is_enough(rule) is enough


@pytest.mark.parametrize(("text", "number"), [("30d", 30), ("2w", 14), ("7", 7), ("0d", 0)])
def test_days_are_written_in_several_ways(text: str, number: int) -> None:
    assert parse_days(None, None, text) == number  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "d", "-1", "1.5d", "٣d", "123456", "30 d", "3m"])
def test_other_texts_are_no_days(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_days(None, None, text)  # type: ignore[arg-type]


def test_every_state_has_a_status() -> None:
    assert set(STATES) == set(STATUS)
    assert set(WORST) == set(STATUS.values())
    for state in STATES:
        line = AccountLine(
            "a", 1, may_log_in=True, held=[WayIn(Enrolled("openpgp", "x"), [], state)]
        )
        assert line.state == state
        assert Overview([line]).status == STATUS[state]
    both = AccountLine("a", 1, may_log_in=True)
    both.held = [WayIn(Enrolled("openpgp", "x"), [], state) for state in ("ok", "unusable")]
    assert both.state == "unusable"
    assert Overview([both], problems=["x"]).status == 2, "what is certain counts more"
    assert Overview([], problems=["x"]).status == 3


KEY = "pub:-:255:22:{0}:1700000000:::-:::scESC:::::ed25519:::0:\nfpr:::::::::{0}:\n"
USER_ID = "uid:-::::1700000000::H::{}::::::::::0:\n"


def test_a_keyring_is_searched_as_gpg_searches() -> None:
    one, other = "A" * 40, "B" * 40
    listing = (
        KEY.format(one) + USER_ID.format("Al <al@example.org>")
        + KEY.format(other) + USER_ID.format("mal@example.org") + USER_ID.format("x <<a@b.c>")
    )  # fmt: skip
    ring = Ring(parse_listing(listing))

    def found(name: str) -> list[str]:
        return [key.fingerprint for key in ring.find(name)]

    assert (found("AL@example.org"), found("al@example.org")) == ([one], [one])
    assert (found("mal@example.org"), found("a@b.c")) == ([other], [other])
    assert (found(one), found(f"{other}!"), found("C" * 40)) == ([one], [other], [])


def test_a_key_with_many_user_ids_is_shortened() -> None:
    """Anybody can add megabytes of them to a key."""
    many = "".join(USER_ID.format(f"n{number} <n{number}@example.org>") for number in range(99))
    sieve = FewUserIds(["n90@example.org"])
    kept = sieve((KEY.format("A" * 40) + many + KEY.format("B" * 40) + many).encode()).decode()
    assert kept.count("uid:") == 2 * (MOST_USER_IDS + 1)
    assert kept.count("n90 <") == 2
