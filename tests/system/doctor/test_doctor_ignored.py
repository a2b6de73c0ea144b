"""`trex doctor --ignore`: what is as it is by intention, in /etc/trex/doctor.toml."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import trex
from tests.support.examination import examine, found, write_service
from tests.support.remedies import type_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account

FILE = Path("/etc/trex/doctor.toml")
ASK = ("--ignore", "pam-nullok", "--reason", "until all are enrolled")


@pytest.fixture(autouse=True)
def gone(place: Path) -> Iterator[None]:
    there = FILE.parent.exists()
    yield
    FILE.unlink(missing_ok=True)
    if not there:
        shutil.rmtree(FILE.parent, ignore_errors=True)


def test_a_finding_is_left_out_of_the_status_from_then_on_and_stays_in_sight(host: Account) -> None:
    write_service("nullok")
    assert examine()["status"] == 1
    report = examine(*ASK)
    assert report["status"] == 0
    [left] = report["ignored"]
    assert (left["check"], left["reason"]) == ("pam-nullok", "until all are enrolled")
    assert examine() == report
    told = trex("doctor")
    assert told.returncode == 0
    assert "note: 1 finding left out, as /etc/trex/doctor.toml has it\n" in told.stdout
    assert "  pam-nullok (warning): /etc/pam.d/sshd:1: nullok\n" in told.stdout
    assert "    reason: until all are enrolled\n" in told.stdout
    FILE.unlink()
    assert examine()["status"] == 1


def test_what_others_have_is_still_found(host: Account, account: Callable[[str], Account]) -> None:
    account("bob")
    host.record.unlink()
    words = ("--ignore", "record-NoRecord", "--reason", "she is on leave", "--user", "alice")
    assert examine(*words)["status"] == 0
    assert found("record-NoRecord", "--user", "bob")["subject"] == "bob"
    both = examine("--user", "alice", "--user", "bob")
    assert [one["subject"] for one in both["ignored"]] == ["alice"]
    assert both["status"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ignore", "pam-nullok"), "--ignore and --reason go together"),
        (("--ignore", "pam-nullok", "--reason", " "), "--ignore and --reason go together"),
        (("--reason", "because"), "--ignore and --reason go together"),
        (("--ignore", "pam-nulok", "--reason", "x"), 'found "pam-nulok"'),
        (("--ignore", "pam-nullok", "--reason", "a\nb"), "--reason: expected one line of text"),
    ],
)
def test_what_is_not_right_is_refused_and_nothing_is_written(
    host: Account, words: tuple[str, ...], message: str
) -> None:
    write_service("nullok")
    done = trex("doctor", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("trex: error: ")
    assert message in done.stderr
    assert not FILE.exists()


def test_only_root_leaves_findings_out(host: Account) -> None:
    done = trex("doctor", *ASK, account=host)
    assert (done.returncode, done.stdout) == (2, "")
    assert "only root can write /etc/trex/doctor.toml" in done.stderr


def test_a_file_that_others_can_have_written_leaves_nothing_out(host: Account) -> None:
    write_service("nullok")
    examine(*ASK)
    FILE.chmod(0o666)
    report = examine()
    assert report["status"] == 2
    assert (report["findings"][0]["check"], report["ignored"]) == ("doctor-file", [])
    type_in(report["findings"][0]["fix"])
    assert examine()["status"] == 0
    FILE.write_text("[[ignore]]\ncheck = 'pam-nullok'\n")
    finding = found("doctor-file")
    assert finding["what"] == "/etc/trex/doctor.toml: [[ignore]] 1: reason: it is missing"
    assert finding["fix"].startswith("# ")
