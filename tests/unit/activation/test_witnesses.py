"""Which logins are noted for `trex confirm`, and which of the notes count."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from trex.cli.activation import witnesses
from trex.login import witness
from trex.login.method import Login

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = os.getpid()
NOBODY = 65534


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where logins through sshd and login are noted; this process is older."""
    place = tmp_path / "notes"
    monkeypatch.setattr(witness, "PLACE", str(place))
    monkeypatch.setattr(witnesses, "PLACE", str(place))
    monkeypatch.setattr(witnesses, "SINCE", f"{place}/.since")
    witnesses.open_witnesses(["sshd", "login"])
    return place


def noted(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.glob("**/*") if path.is_file())


@pytest.mark.parametrize("service", ["../elsewhere", "sshd/..", ".", "..", ".since", "other"])
def test_nothing_is_noted_for_another_service(notes: Path, service: str) -> None:
    (notes.parent / "elsewhere").mkdir()
    witness.bear_witness(Login("alice", service, "", []))
    assert noted(notes.parent) == ["notes/.since"]


@contextmanager
def running(title: str, program: str = "sleep", uid: int = 0) -> Iterator[int]:
    """Yield a process with a title such as sshd gives its own."""
    with subprocess.Popen([title, "60"], executable=f"/usr/bin/{program}", user=uid) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("title", "program", "uid", "is_noted"),
    [
        ("sshd: alice [priv]", "sleep", 0, True),
        ("sshd: alice@pts/0", "sleep", 0, False),  # the one that listens has neither
        ("sshd: alice [priv]", "sleep", NOBODY, False),  # a user's, with a title of their choice
        ("sshd: alice [priv]", "yes", 0, False),
    ],
)
def test_the_process_of_one_connection_is_sshd_s_own_and_root_s(
    title: str, program: str, uid: int, is_noted: bool
) -> None:
    with running(title, program, uid) as parent, running("sshd: alice [pam]") as caller:
        if program == "yes":
            os.kill(parent, signal.SIGSTOP)
        assert witness._is_session_of(parent, caller) is is_noted


@contextmanager
def asking(title: str) -> Iterator[list[int]]:
    """Yield a process that asks PAM, and its parent with that title."""
    code = "sh -c 'echo $$; read end'; exit"
    with subprocess.Popen(
        [title, "-c", code], executable="/bin/sh", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        yield [int(parent.stdout.readline()), parent.pid]


@pytest.mark.parametrize(("title", "both"), [("sshd: alice [priv]", True), ("sshd: alice", False)])
def test_the_process_that_asks_is_noted_and_sshd_s_for_its_connection(
    notes: Path, title: str, both: bool
) -> None:
    login = Login("Alice", "SSHD", "", [])
    login.account = "alice"
    before = os.listdir("/proc/self/fd")
    with asking(title) as processes:
        assert witness.status_of_process(processes[0])[0] == processes[1]
        login.caller = processes[0]
        witness.bear_witness(login)
        expected = [f"{pid}.{witness.status_of_process(pid)[1]}" for pid in processes]
    assert {path.name for path in (notes / "sshd").iterdir()} == set(expected[: 1 + both])
    for path in (notes / "sshd").iterdir():
        assert path.read_text() == "alice"
        assert path.stat().st_mode & 0o7777 == 0o600
    assert os.listdir("/proc/self/fd") == before


def test_a_link_in_the_place_of_a_note_is_not_followed(notes: Path) -> None:
    name = f"{HERE}.{witness.status_of_process(HERE)[1]}"
    (notes / "sshd" / name).symlink_to(notes / "elsewhere")
    witness.bear_witness(Login("alice", "sshd", "", []))
    assert noted(notes) == [".since"]


def test_a_note_counts_only_of_a_process_that_is_younger(notes: Path) -> None:
    started = witness.status_of_process(HERE)[1]
    note = notes / "sshd" / f"{HERE}.{started}"
    note.write_text("alice")
    assert witnesses.witness(["sshd"]) is None
    (notes / ".since").write_text(str(started - 1))
    assert witnesses.witness(["sshd"]) == "alice"
    assert witnesses.witness(["login"]) is None
    note.rename(notes / "sshd" / f"{HERE}.{started + 1}")
    assert witnesses.witness(["sshd"]) is None, "another process had this number"


def test_login_may_be_older_as_getty_becomes_it(notes: Path) -> None:
    (notes / "login" / f"{HERE}.{witness.status_of_process(HERE)[1]}").write_text("alice")
    assert witnesses.witness(["login"]) == "alice"


@pytest.mark.parametrize("since", [None, "", "x"])
def test_without_the_time_of_the_change_nothing_counts(notes: Path, since: str | None) -> None:
    (notes / "login" / f"{HERE}.{witness.status_of_process(HERE)[1]}").write_text("alice")
    (notes / ".since").unlink() if since is None else (notes / ".since").write_text(since)
    assert witnesses.witness(["login"]) is None


def test_an_earlier_place_is_emptied_and_only_root_s(notes: Path) -> None:
    (notes / "login" / "1.1").write_text("alice")
    before = os.umask(0)
    try:
        witnesses.open_witnesses(["sudo"])
    finally:
        os.umask(before)
    assert noted(notes) == [".since"]
    assert (notes.stat().st_mode & 0o777, (notes / "sudo").stat().st_mode & 0o777) == (0o700, 0o700)
    assert (
        abs(int((notes / ".since").read_text()) / 100 - time.clock_gettime(time.CLOCK_BOOTTIME))
        < 60
    )
    witnesses.close_witnesses()
    assert not notes.exists()
