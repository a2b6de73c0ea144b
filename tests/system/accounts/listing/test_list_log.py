"""The last verdict in `trex list`: from a real journal, or from a file as rsyslog writes it."""

from __future__ import annotations

import calendar
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import trex
from tests.support.examination import write_stack
from tests.support.listing import account as line
from tests.support.listing import listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.journal import Journal
    from tests.support.sandbox import Account, Asked, Log

AUTH_LOG = Path("/var/log/auth.log")
FORGED = "pam_trex(sshd:auth): accepted: user=bob service=sshd rhost=6.6.6.6 method=openpgp keys="


def as_rsyslog_has_it(message: str, stamp: str = "") -> str:
    """Return what rsyslog writes to a file for what came through /dev/log."""
    taken = re.fullmatch(r"<\d+>(\w+ [ \d]\d [\d:]{8}) (.*)", message)
    assert taken, message
    return f"{stamp or taken[1]} server {taken[2]}\n"


def test_the_journal_s_last_verdict_is_shown(
    host: Account, bob: Account, log: Log, log_in: Callable[..., Asked],
    ask: Callable[..., Asked], journal: Journal,
) -> None:  # fmt: skip
    assert log_in("alice").verdict == "PAM_SUCCESS"
    journal.take(log.verdict())
    report = listed()
    last = line(report, "alice")["last"]
    assert (report["log"], last["verdict"]) == ("journal", "accepted")
    assert last["service"].startswith("trex-test-")
    assert (
        abs(time.time() - calendar.timegm(time.strptime(last["time"], "%Y-%m-%dT%H:%M:%SZ"))) < 600
    )
    assert line(report, "bob")["last"] is None
    log.clear()
    assert ask("alice", "--answer", "wrong").verdict == "PAM_AUTH_ERR"
    journal.take(log.verdict())
    assert line(listed(), "alice")["last"]["verdict"] == "wrong response"
    table = trex("list").stdout
    assert re.search(
        r"^ +last verdict: wrong response, trex-test-\d+, 20\d\d-", table, re.MULTILINE
    )


def test_what_a_user_writes_to_the_journal_is_no_verdict(
    host: Account, bob: Account, journal: Journal
) -> None:
    """Any local user may write a line of this form; the journal knows who has."""
    journal.take_from(bob, FORGED)
    assert line(listed(), "bob")["last"] is None
    journal.take(f"<86>Nov 22 07:17:36 sshd[7]: {FORGED}")
    assert line(listed(), "bob")["last"]["rhost"] == "6.6.6.6"
    journal.take(f"<86>Nov 22 07:17:37 sshd[7]: said {FORGED.replace('6.6', '7.7')}")
    assert line(listed(), "bob")["last"]["rhost"] == "6.6.6.6"


@pytest.mark.parametrize("stamp", ["", "2026-11-22T07:17:36.123456+01:00"])
def test_without_a_journal_the_file_is_read(
    host: Account, log: Log, log_in: Callable[..., Asked], ask: Callable[..., Asked], stamp: str
) -> None:
    assert ask("alice", "--answer", "wrong").verdict == "PAM_AUTH_ERR"
    wrong = log.verdict()
    log.clear()
    assert log_in("alice").verdict == "PAM_SUCCESS"
    AUTH_LOG.write_text(as_rsyslog_has_it(wrong) + as_rsyslog_has_it(log.verdict(), stamp))
    report = listed()
    last = line(report, "alice")["last"]
    assert (report["log"], last["verdict"]) == ("/var/log/auth.log", "accepted")
    if stamp:
        assert last["time"] == "2026-11-22T06:17:36Z"
    else:
        now = time.time()
        assert abs(now - calendar.timegm(time.strptime(last["time"], "%Y-%m-%dT%H:%M:%SZ"))) < 86400
    AUTH_LOG.rename("/var/log/auth.log.1")
    assert line(listed(), "alice")["last"]["verdict"] == "accepted"
    Path("/var/log/auth.log.1").unlink()


@pytest.mark.parametrize(
    ("controls", "verdict"),
    [
        (("required", "required"), "wrong response"),  # both have to let her in
        (("sufficient", "required"), "accepted"),  # one of them is enough
    ],
)
@pytest.mark.parametrize("logged", ["file", "journal"])
def test_of_two_lines_of_trex_the_verdict_is_that_of_the_login(
    host: Account, journal: Journal, controls: tuple[str, str], verdict: str, logged: str
) -> None:
    write_stack(*(f"{word} {{trex}} {more}".rstrip() for word, more in
                  zip(controls, ("", "method=totp"), strict=True)))  # fmt: skip
    login = "user=alice service=sshd rhost=1.2.3.4"
    said = [
        (7, f"accepted: {login} method=openpgp keys="),  # of the login before, in the same process
        (7, f"accepted: {login} method=totp keys="),
        (7, f"wrong response: {login} method=openpgp keys="),
        (8, f"accepted: {login.replace('alice', 'bob')} method=openpgp keys="),
        (7, f"accepted: {login} method=totp keys="),
    ]
    written = [f"Nov 22 07:17:3{n} sshd[{process}]: pam_trex(sshd:auth): {text}"
               for n, (process, text) in enumerate(said)]  # fmt: skip
    if logged == "journal":
        for message in written:
            journal.take(f"<86>{message}")
    else:
        lines = [as_rsyslog_has_it(f"<86>{message}") for message in written]
        AUTH_LOG.write_text("".join(lines))
    report = listed()
    AUTH_LOG.unlink(missing_ok=True)
    assert line(report, "alice")["last"]["verdict"] == verdict


def test_a_log_that_cannot_be_read_keeps_nothing_from_being_shown(host: Account) -> None:
    AUTH_LOG.write_bytes(b"\xff\xfe\x00 pam_trex(" * 1000)
    assert listed()["log"] == ""
    AUTH_LOG.unlink()
    elsewhere = AUTH_LOG.with_name("elsewhere")
    elsewhere.write_text(f"Nov 22 07:17:36 server sshd[7]: {FORGED.replace('bob', 'alice')}\n")
    AUTH_LOG.symlink_to(elsewhere)
    assert listed()["log"] == "", "a link there is not syslog's"
    AUTH_LOG.unlink()
    elsewhere.rename(AUTH_LOG)
    assert listed()["log"] == str(AUTH_LOG)
    AUTH_LOG.unlink()
