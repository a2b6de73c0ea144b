"""A home on a file system that does not answer delays only its owner."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support import sandbox
from tests.support.command import trex
from tests.support.examination import examine, write_service, write_ssh_key
from tests.support.silent import is_stuck, silent, wait_until_gone
from trex.cli.doctor.survey import MOST_SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Asked, Log

SILENT = "and its process cannot be ended: their file system does not answer"


@contextmanager
def unanswered(place: Path) -> Iterator[None]:
    """Cover a directory; at the end, release every process that hangs there."""
    before = set(sandbox.processes_here())
    with silent(place) as covered:
        yield
        stuck = [pid for pid in sandbox.processes_here() if pid not in before and is_stuck(pid)]
        assert stuck, "something was left behind, which no signal ends"
        covered.end()
        wait_until_gone(stuck)


def test_root_is_told_and_goes_on(host: Account) -> None:
    write_service("gpg_timeout=1")
    commands = [
        ["show", "--user", "alice"],
        ["remove", "--yes", "--user", "alice"],
        ["enroll", "--yes", "--from-keyring", "--user", "alice"],
        ["doctor", "--user", "alice"],
    ]
    with unanswered(host.home), ThreadPoolExecutor() as at_once:
        runs = list(at_once.map(lambda command: trex(*command, seconds=100), commands))
    for command, done, seconds in zip(commands, runs, (25, 10, 10, 12), strict=True):
        said = done.stdout if command[0] == "doctor" else done.stderr
        assert f"the work on alice's files did not finish in {seconds} seconds, {SILENT}" in said
        assert done.returncode == (2 if command[0] == "doctor" else 1)


def test_doctor_looks_at_everybody_else(host: Account, bob: Account) -> None:
    """Also without a name: the user whose home hangs is reported, and the others are examined."""
    write_service("gpg_timeout=1")
    bob.write("nobody@example.org trust nosign\n")
    write_ssh_key(bob)
    with unanswered(host.home):
        done = trex("doctor", "--json", seconds=100)
    findings = json.loads(done.stdout)["findings"]
    told = [(finding["check"], finding["what"]) for finding in findings]
    assert ("user-silent", "alice: the home's file system does not answer") in told
    assert [check for check, what in told if what.startswith("bob: ")] == ["record-GpgFailed"]


def test_doctor_does_not_wait_for_every_home_of_a_dead_server(
    host: Account, account: Callable[[str], Account]
) -> None:
    write_service("gpg_timeout=1")
    names = [f"user{number}" for number in range(4)]
    homes = [account(name).home for name in names]
    with unanswered(homes[0]):
        for other in homes[1:]:
            os.rename(other, f"{other}.kept")
            other.symlink_to(homes[0])
        try:
            done = trex("doctor", "--json", seconds=150)
        finally:
            for other in homes[1:]:
                other.unlink()
                os.rename(f"{other}.kept", other)
    findings = json.loads(done.stdout)["findings"]
    told = [f["what"] for f in findings if f["check"] == "user-silent"]
    assert [what.partition(":")[0] for what in told[:-1]] == names[: len(told) - 1]
    assert len(told) == MOST_SILENT + 1
    assert "accounts were not checked: too many homes do not answer" in told[-1]


def test_a_page_s_certificate_that_hangs_is_a_finding(host: Account, place: Path) -> None:
    """Its key and certificate may be outside the home."""
    away = sandbox.PLACE / "away"
    away.mkdir()
    [key, *_] = host.record.read_text().split()
    host.write(f"{key} trust nosign webQrAuthTls {away}/key.pem {away}/cert.pem\n")
    write_service("gpg_timeout=3")
    try:
        with unanswered(away):
            report = examine("--user", "alice")
    finally:
        away.rmdir()
    [finding] = [f for f in report["findings"] if f["check"] == "page"]
    assert SILENT in finding["what"]


def test_a_login_is_refused_in_time_where_its_keyring_hangs(
    alice: Account, ask: Callable[..., Asked], log: Log, place: Path
) -> None:
    away = sandbox.PLACE / "away"
    away.mkdir()
    program = place / "gpg-on-the-silent"
    program.write_text(f"#!/bin/sh\nexec cat {away}/pubring.kbx\n")
    program.chmod(0o755)
    try:
        with unanswered(away):
            asked = ask("alice", arguments=(f"gpg={program}", "gpg_timeout=1"))
    finally:
        away.rmdir()
        program.unlink()
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "gpg cannot be ended: the file system of its files does not answer" in log.verdict()
