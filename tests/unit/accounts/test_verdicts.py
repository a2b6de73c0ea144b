"""What counts as a verdict in the log, and when it was."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from trex import errors
from trex.cli.accounts import verdicts
from trex.cli.accounts.verdicts import FILED, LINE, OUTCOMES, _entry, _newest, _seconds
from trex.login.audit import MONTHS

if TYPE_CHECKING:
    from datetime import tzinfo

PAGE = (Path(__file__).resolve().parents[3] / "docs/troubleshooting.md").read_text("utf-8")
WHOLE = (
    "pam_trex(sshd:auth): wrong response: user=alice service=sshd rhost=203.0.113.7 "
    "method=openpgp keys=AA ms=3"
)


def test_every_outcome_is_a_verdict() -> None:
    assert set(OUTCOMES) >= {errors.ACCEPTED.text, errors.WRONG.text, errors.UNFORESEEN.text}
    for text in OUTCOMES:
        found = LINE.match(WHOLE.replace("wrong response", text))
        assert found
        assert found["verdict"] == text


def test_lines_are_read_as_the_page_shows_them() -> None:
    shown = re.findall(r"^    \S+\[\d+\]: (pam_trex\(.*)$", PAGE, re.MULTILINE)
    assert any(LINE.match(line) for line in shown), "the page shows a verdict"


@pytest.mark.parametrize(
    "line",
    [
        f"x{WHOLE}",
        WHOLE.replace("wrong response", "right"),
        WHOLE.replace("user=alice", "user=al=ice"),
        WHOLE.replace("user=alice", 'user="alice'),
        WHOLE.replace(" rhost=203.0.113.7", ""),
        'pam_trex(sshd:auth): left out: "accepted: user=alice service=sshd rhost=1 method="',
    ],
)
def test_other_lines_are_none(line: str) -> None:
    assert not LINE.match(line)


def test_the_newest_line_counts_and_only_of_those_who_are_asked_for() -> None:
    lines = [(3.0, "7", WHOLE), (2.0, "6", WHOLE.replace("wrong response", "accepted")),
             (1.0, "5", WHOLE.replace("alice", '"the other"'))]  # fmt: skip
    found = _newest((line for line in lines), {"alice", "the other"}, {})
    assert {name: (one.verdict, one.time) for name, one in found.items()} == {
        "alice": ("wrong response", 3.0), "the other": ("wrong response", 1.0),
    }  # fmt: skip
    assert _newest((line for line in lines), {"bob"}, {}) == {}


@pytest.mark.parametrize(
    ("groups", "said", "verdict"),
    [
        ([["openpgp"], ["totp"]], "7 accepted totp, 7 wrong response openpgp", "wrong response"),
        ([["openpgp"], ["totp"]], "7 wrong response totp, 7 accepted openpgp", "wrong response"),
        ([["openpgp", "totp"]], "7 accepted totp, 7 wrong response openpgp", "accepted"),
        ([["openpgp", "totp"]], "7 wrong response totp, 7 no response openpgp", "wrong response"),
        # Another process is another login, and so is a method that is asked once more.
        ([["openpgp"], ["totp"]], "7 accepted totp, 6 wrong response openpgp", "accepted"),
        ([["openpgp"], ["totp"]], "7 accepted openpgp, 7 wrong response openpgp", "accepted"),
        # A service that asks otherwise by now.
        ([["sms"]], "7 accepted totp, 7 wrong response openpgp", "accepted"),
        ([], "7 accepted totp, 7 wrong response openpgp", "accepted"),
    ],
)
def test_a_login_through_two_lines_has_one_verdict(
    groups: list[list[str]], said: str, verdict: str
) -> None:
    lines = []
    for number, told in enumerate(said.split(", ")):
        process, rest = told.split(" ", 1)
        outcome, method = rest.rsplit(" ", 1)
        line = WHOLE.replace("wrong response", outcome).replace(
            "method=openpgp", f"method={method}"
        )
        lines.append((9.0 - number, process, line))
    found = _newest((line for line in lines), {"alice"}, {"sshd": groups})
    assert found["alice"].verdict == verdict


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"MESSAGE":"x"}',
        b'{"__REALTIME_TIMESTAMP":"x"}',
        b"[" * 9999,
        b'{"__REALTIME_TIMESTAMP":1e999,"MESSAGE":"x"}',
    ],
)
def test_what_is_no_entry_of_a_journal_is_left_out(text: bytes) -> None:
    assert _entry(text) is None


@pytest.mark.parametrize(
    "when", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9" * 20]
)
def test_a_time_that_no_calendar_has_is_left_out(when: str) -> None:
    """A daemon that takes the time from a line takes a user's: one line would end `trex list`."""
    entry = _entry(json.dumps({"__REALTIME_TIMESTAMP": when, "MESSAGE": WHOLE}).encode())
    moment = entry[0] if entry else _seconds(when)
    assert moment is not None
    lines = [(moment, "7", WHOLE), (1.0, "6", WHOLE.replace("wrong response", "accepted"))]
    assert _newest((line for line in lines), {"alice"}, {})["alice"].verdict == "accepted"


def test_an_entry_of_bytes_is_no_line_of_trex_s() -> None:
    told = json.dumps({"__REALTIME_TIMESTAMP": "1795801538856522", "MESSAGE": [112, 255]}).encode()
    entry = _entry(told)
    assert entry
    assert not LINE.match(entry[2])


def test_a_time_without_a_year_is_the_last_one_that_was() -> None:
    now = datetime.now().astimezone()
    stamp = f"{MONTHS[now.month - 1]} {now.day:2} {now:%H:%M:%S}"
    found = _seconds(stamp)
    assert found is not None
    assert abs(found - time.time()) < 60
    december = _seconds("Dec 31 23:59:59")
    assert december is not None
    assert december <= time.time() + 86400
    assert _seconds("Feb 31 23:59:59") is None
    assert _seconds("Foo 31 23:59:59") is None


def test_a_29_february_is_that_of_the_year_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class InJanuary(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2029, 1, 5, tzinfo=tz)

    monkeypatch.setattr(verdicts, "datetime", InJanuary)
    assert _seconds("Feb 29 23:59:59") == datetime(2028, 2, 29, 23, 59, 59).timestamp()  # noqa: DTZ001 (local time)


@pytest.mark.parametrize(
    "line",
    [
        f"2026-11-22T07:17:36.123456+01:00 server sshd[7]: {WHOLE}",
        f"Nov 22 07:17:36 server sshd-session[7]: {WHOLE}",
        f"Nov  2 07:17:36 server su[7]: {WHOLE}",
    ],
)
def test_a_file_s_line_begins_with_time_host_and_program(line: str) -> None:
    head = FILED.match(line)
    assert head
    assert line[head.end() :] == WHOLE
    assert not FILED.match(f"said {line}")


def test_a_journal_that_cannot_be_asked_has_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "JOURNALCTL", "/nonexistent")
    assert list(verdicts._journal()) == []


def test_a_journal_that_does_not_answer_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "journalctl"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    monkeypatch.setattr(verdicts, "JOURNALCTL", str(silent))
    monkeypatch.setattr(verdicts, "SECONDS", 0.2)
    begun = time.monotonic()
    assert list(verdicts._journal()) == []
    assert time.monotonic() - begun < 30
