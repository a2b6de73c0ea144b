"""One line stays one line, whatever the names in it are."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from trex import errors
from trex.errors import WRONG
from trex.login.audit import MAX_LINE, _field, write_notes, write_verdict
from trex.login.method import Login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONG = "\U000e0001"  # a tag: ten bytes, escaped


@pytest.mark.parametrize(
    ("value", "shown"),
    [("alice", "alice"), ("", '""'), ("a b", '"a b"'), ("a=b", '"a=b"'), ('a" b', '"a\' b"')],
)
def test_a_value_cannot_be_mistaken_for_two(value: str, shown: str) -> None:
    assert _field(value) == shown


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Return what the next line in the log is, without its date."""
    daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.bind(str(tmp_path / "log"))
    daemon.settimeout(10)
    monkeypatch.setattr("trex.login.audit.SOCKET", str(tmp_path / "log"))
    yield lambda: daemon.recv(1 << 20).decode("utf-8")
    daemon.close()


@pytest.mark.parametrize(
    ("outcome", "priority"),
    [
        (errors.ACCEPTED, 86),  # authpriv.info (RFC 5424, 6.2.1)
        (errors.NOT_ASKED, 86),
        (errors.NO_RECORD, 86),
        (errors.WRONG, 85),  # authpriv.notice
        (errors.LATE, 85),
        (errors.USER_UNKNOWN, 85),
        (errors.LIMITED, 85),
        (errors.UNAVAILABLE, 83),  # authpriv.err
        (errors.UNFORESEEN, 83),
    ],
)
def test_what_is_no_error_is_not_logged_as_one(
    logged: Callable[[], str], outcome: errors.Outcome, priority: int
) -> None:
    """Nor is what anyone who logs in can cause, such as a limit that is reached."""
    write_verdict(Login("alice", "sshd", "", []), outcome, "", 0)
    assert logged().startswith(f"<{priority}>")


@pytest.mark.parametrize(("digits", "whole"), [(40, 16), (64, 10)])
def test_no_field_pushes_another_out_of_the_line(
    logged: Callable[[], str], digits: int, whole: int
) -> None:
    login = Login(LONG * 255, LONG * 255, LONG * 255, [])
    login.fingerprints = ["A" * digits] * 16
    write_verdict(login, WRONG, LONG * 5000, 1.5)
    line = logged()
    for field in ("user=", "service=", "rhost=", "keys=", "ms=1500: "):
        assert f" {field}" in line
    assert line.count("A" * digits) == whole
    begin = line.index("pam_trex(")
    assert len(line[begin:].encode()) <= MAX_LINE
    assert line.endswith("...")
    assert len(line.partition("ms=1500: ")[2]) >= 400, "the reason has room, too"


def test_an_address_is_whole_whoever_it_is_that_logs_in(logged: Callable[[], str]) -> None:
    write_verdict(Login(LONG * 255, "sshd", "2001:db8::1", []), WRONG, "", 0)
    assert " rhost=2001:db8::1 " in logged()


def test_a_note_is_cut_like_a_reason(logged: Callable[[], str]) -> None:
    login = Login("alice", "sshd", "", [])
    login.warnings.append("x" * 100_000)
    write_notes(login)
    line = logged()
    assert len(line[line.index("pam_trex(") :]) == MAX_LINE
