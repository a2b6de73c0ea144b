"""The stacks that `trex activate` writes, asked through libpam on Debian's own files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.activation import run, until, watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

PASSWORD = "correct horse battery"  # noqa: S105 (a test's)


@pytest.fixture
def activated(machine: Account) -> Iterator[Callable[..., None]]:
    """Activate sshd with these options, and take it back in the end."""

    def activate(*options: str) -> None:
        done = run("trex", "activate", "sshd", "--yes", "--watcher-alone", *options)
        assert done.returncode == 0, done.stdout + done.stderr

    yield activate
    assert run("trex", "deactivate", "sshd").returncode == 0
    until(lambda: not watchers())


def verdict(client: Path, user: str, *options: str) -> str:
    return sandbox.ask_pam(client, "sshd", user, *options).verdict


def test_with_nullok_a_record_is_enough_and_needed_where_there_is_one(
    activated: Callable[..., None], client: Path, holder: Holder, bob: Account
) -> None:
    subprocess.run(["chpasswd"], input=f"bob:{PASSWORD}\nalice:{PASSWORD}\n", text=True, check=True)
    activated("--nullok")
    assert verdict(client, "alice", "--answer-with", holder.command()) == "PAM_SUCCESS"
    assert verdict(client, "alice", "--answer", PASSWORD) == "PAM_AUTH_ERR"
    assert verdict(client, "bob", "--answer", PASSWORD) == "PAM_SUCCESS"
    assert verdict(client, "bob", "--answer", "wrong") != "PAM_SUCCESS"


def test_without_it_who_has_no_record_is_refused_whatever_the_password(
    activated: Callable[..., None], client: Path, holder: Holder, bob: Account
) -> None:
    subprocess.run(["chpasswd"], input=f"bob:{PASSWORD}\n", text=True, check=True)
    activated()
    assert verdict(client, "alice", "--answer-with", holder.command()) == "PAM_SUCCESS"
    assert verdict(client, "bob", "--answer", PASSWORD) == "PAM_AUTHINFO_UNAVAIL"


def test_with_faillock_wrong_answers_lock_and_a_right_one_clears_the_count(
    activated: Callable[..., None], client: Path, holder: Holder
) -> None:
    activated("--with-faillock")
    right = ("--answer-with", holder.command())
    assert verdict(client, "alice", "--answer", "wrong") != "PAM_SUCCESS"
    assert verdict(client, "alice", *right) == "PAM_SUCCESS"
    for _ in range(3):
        assert verdict(client, "alice", "--answer", "wrong") != "PAM_SUCCESS"
    assert verdict(client, "alice", *right) != "PAM_SUCCESS"
    subprocess.run(["faillock", "--user", "alice", "--reset"], check=True)
    assert verdict(client, "alice", *right) == "PAM_SUCCESS"
    for path in Path("/run/faillock").glob("*"):
        path.unlink()
    Path("/run/faillock").rmdir()


def test_the_python_door_is_written_where_it_is_asked_for(
    activated: Callable[..., None], client: Path, holder: Holder
) -> None:
    activated("--door", "python")
    text = (sandbox.PAM_SERVICES / "sshd").read_text()
    assert "auth  required  pam_python.so pam_trex.py\n" in text
    assert verdict(client, "alice", "--answer-with", holder.command()) == "PAM_SUCCESS"
