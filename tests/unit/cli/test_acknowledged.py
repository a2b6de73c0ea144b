"""`/etc/trex/doctor.toml`: which files are understood, which are refused, and what is written."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import TYPE_CHECKING

import pytest

from trex.cli.acknowledged import (
    AcknowledgementError,
    Exempt,
    Ignored,
    add_ignored,
    parse_acknowledged,
    read_acknowledged,
)

if TYPE_CHECKING:
    from pathlib import Path

IGNORE = '[[ignore]]\ncheck = "pam-nullok"\nreason = "until everybody is enrolled"\n'
EXEMPT = '[[exempt]]\nuser = "backup"\nreason = "its key is in a vault"\n'
NULLOK = Ignored("pam-nullok", "until everybody is enrolled")


def test_no_file_acknowledges_nothing(tmp_path: Path) -> None:
    for path in (tmp_path / "doctor.toml", tmp_path / "none/doctor.toml"):
        known = read_acknowledged(str(path))
        assert (known.ignored, known.exempt) == ([], [])


def test_an_entry_without_a_subject_leaves_out_the_findings_about_anybody() -> None:
    known = parse_acknowledged(IGNORE + '[[ignore]]\ncheck="x"\nsubject="bob"\nreason="r"\n')
    assert known.why_ignored("pam-nullok", "alice") == NULLOK
    assert known.why_ignored("pam-nullok", "") == NULLOK
    assert known.why_ignored("x", "bob") == Ignored("x", "r", "bob")
    assert known.why_ignored("x", "alice") is known.why_ignored("x", "") is None
    assert known.why_ignored("pam-nullokk", "") is None


def test_an_account_is_exempt_by_its_name_by_a_group_or_by_its_primary_group() -> None:
    known = parse_acknowledged(EXEMPT)
    assert known.why_exempt("backup", 34) == Exempt("backup", "", "its key is in a vault")
    assert known.why_exempt("backups", 34) is None
    daemon = pwd.getpwnam("daemon")
    known = parse_acknowledged('[[exempt]]\ngroup = "daemon"\nreason = "r"\n')
    assert known.why_exempt("daemon", daemon.pw_gid) == Exempt("", "daemon", "r")
    assert known.why_exempt("daemon", 65533) is None


def test_a_member_whom_only_the_group_names_is_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def look_up(name: str) -> grp.struct_group:
        asked.append(name)
        return grp.struct_group((name, "x", 900, ["ansible", "ci"]))

    monkeypatch.setattr(grp, "getgrnam", look_up)
    known = parse_acknowledged('[[exempt]]\ngroup = "machines"\nreason = "r"\n')
    assert [bool(known.why_exempt(name, 1000)) for name in ("ansible", "ci", "alice")] == [
        True, True, False,
    ]  # fmt: skip
    assert asked == ["machines"]


def test_a_group_that_does_not_exist_exempts_nobody() -> None:
    known = parse_acknowledged('[[exempt]]\ngroup = "no-such-group"\nreason = "r"\n')
    assert known.why_exempt("root", 0) is None
    assert known.why_exempt("nobody", 65534) is None


def test_an_exemption_for_addresses_holds_for_logins_from_there() -> None:
    known = parse_acknowledged(EXEMPT + 'address = "10.0.0.0/8, fd00::/8"\n')
    assert known.why_exempt("backup", 34, "10.1.2.3")
    assert known.why_exempt("backup", 34, "fd00::1")
    assert known.why_exempt("backup", 34, "192.0.2.1") is None
    assert known.why_exempt("backup", 34)  # from somewhere
    [one] = known.exempt
    assert not one.comes_from("")  # but not from anywhere


def test_an_exemption_for_any_address_comes_before_one_for_some() -> None:
    some = EXEMPT + 'address = "10.0.0.0/8"\n'
    for text in (some + EXEMPT, EXEMPT + some):
        found = parse_acknowledged(text).why_exempt("backup", 34)
        assert found
        assert found.address == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[ignore]\n", "Expected ']]'"),
        ("[[ignored]]\n", 'expected [[ignore]] and [[exempt]], found "ignored"'),
        ("ignore = 1\n", "ignore: expected tables such as [[ignore]]"),
        ('[ignore]\ncheck = "x"\nreason = "r"\n', "ignore: expected tables such as [[ignore]]"),
        (IGNORE + '[[ignore]]\ncheck = "x"\n', "[[ignore]] 2: reason: it is missing"),
        ('[[ignore]]\ncheck = "x"\nreason = " "\n', "[[ignore]] 1: reason: expected one line"),
        ('[[ignore]]\ncheck = "x"\nreason = "a\\nb"\n', "[[ignore]] 1: reason: expected one line"),
        ('[[ignore]]\ncheck = "x"\nreason = 3\n', "[[ignore]] 1: reason: expected one line"),
        ('[[ignore]]\nreason = "r"\n', "[[ignore]] 1: check: expected a check's name"),
        ('[[ignore]]\ncheck = "*"\nreason = "r"\n', "[[ignore]] 1: check: expected a check's"),
        (
            '[[ignore]]\ncheck = "x"\nreason = "r"\nuser = "a"\n',
            '[[ignore]] 1: expected check, reason, subject, line, found "user"',
        ),
        ('[[exempt]]\nreason = "r"\n', "[[exempt]] 1: expected either user or group"),
        (EXEMPT + 'group = "x"\n', "[[exempt]] 1: expected either user or group"),
        (EXEMPT + 'address = "10.0.0.1/8"\n', "[[exempt]] 1: address: expected networks"),
        (EXEMPT + 'address = "here"\n', "[[exempt]] 1: address: expected networks"),
        ("x = " + "[" * 20000, "expected TOML, found something else"),
        ("x = " + "1" * 5000, "expected TOML, found something else"),
    ],
)
def test_what_is_wrong_is_said_with_its_entry_and_key(text: str, message: str) -> None:
    with pytest.raises(AcknowledgementError) as caught:
        parse_acknowledged(text, "/etc/trex/doctor.toml")
    assert str(caught.value).startswith("/etc/trex/doctor.toml: ")
    assert message in str(caught.value)
    assert caught.value.hint == "sudoedit /etc/trex/doctor.toml"


def test_a_file_that_others_can_have_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "doctor.toml"
    path.write_text(IGNORE)
    path.chmod(0o666)
    with pytest.raises(AcknowledgementError, match="found mode 0666"):
        read_acknowledged(str(path))
    path.chmod(0o644)
    os.chown(path, 1000, 1000)
    with pytest.raises(AcknowledgementError, match="found owner uid 1000"):
        read_acknowledged(str(path))
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(AcknowledgementError, match="a symbolic link"):
        read_acknowledged(str(path))
    path.unlink()
    path.write_bytes(b"\xff")
    with pytest.raises(AcknowledgementError, match="expected UTF-8 text"):
        read_acknowledged(str(path))


def test_what_is_added_stands_after_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "doctor.toml"
    path.write_text(f"# ours\n{EXEMPT}")
    odd = Ignored("x-y", 'says "é" \\ #', "bob")
    assert add_ignored([NULLOK, odd], str(path))
    assert path.read_text().startswith(f"# ours\n{EXEMPT}\n[[ignore]]\n")
    known = read_acknowledged(str(path))
    assert known.ignored == [NULLOK, odd]
    assert [one.user for one in known.exempt] == ["backup"]
    before = path.stat()
    assert not add_ignored([odd], str(path))  # once is enough
    assert path.stat() == before
    assert stat.S_IMODE(before.st_mode) == 0o644


def test_the_first_entry_makes_directory_and_file(tmp_path: Path) -> None:
    path = tmp_path / "trex/doctor.toml"
    assert add_ignored([NULLOK], str(path))
    assert read_acknowledged(str(path)).ignored == [NULLOK]
    assert [one.name for one in path.parent.iterdir()] == ["doctor.toml"]


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "\x1b[31m", "x\u2028y", "a\x7fb"])
def test_a_reason_that_could_not_be_read_again_is_not_written(tmp_path: Path, reason: str) -> None:
    path = tmp_path / "doctor.toml"
    path.write_text(EXEMPT)
    with pytest.raises(AcknowledgementError):
        add_ignored([Ignored("x", reason)], str(path))
    assert path.read_text() == EXEMPT


def test_nothing_is_appended_to_a_file_that_cannot_be_understood(tmp_path: Path) -> None:
    path = tmp_path / "doctor.toml"
    path.write_text("ignore = []\n")  # an inline list cannot be continued by a table
    with pytest.raises(AcknowledgementError):
        add_ignored([NULLOK], str(path))
    assert path.read_text() == "ignore = []\n"
