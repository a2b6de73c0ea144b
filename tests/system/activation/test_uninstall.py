"""Trex is taken away while an activation waits: what takes that back is part of what goes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.activation import DROP_IN, PAM, STATE, run, until, watchers
from tests.support.installation import DOOR, LIBRARY, install
from tests.support.sandbox import PROJECT
from trex.cli.activation import confirm, plan, turn

if TYPE_CHECKING:
    from tests.support.sandbox import Account

ACTIVATE = ("trex", "activate", "sshd", "--yes", "--watcher-alone", "--anyway")
PACKAGED = Path("/usr/share/trex")


@pytest.fixture
def waiting(machine: Account) -> str:
    """Have an activation wait; return what /etc/pam.d/sshd was before."""
    before = PAM.read_text()
    done = run(*ACTIVATE)
    assert done.returncode == 0, done.stderr
    assert PAM.read_text() != before
    return before


def test_it_is_refused_with_the_command_that_comes_first(waiting: str) -> None:
    done = install("--uninstall")
    assert done.returncode == 1
    assert "nothing was removed, because trex activate sshd waits to be confirmed" in done.stderr
    assert LIBRARY.is_dir()
    command = done.stderr.splitlines()[-1].strip()
    assert command == "sudo trex deactivate sshd"
    assert run(*command.split()[1:]).returncode == 0
    assert PAM.read_text() == waiting


def test_what_is_confirmed_is_refused_with_its_command(waiting: str) -> None:
    with turn.one_at_a_time():
        [one] = plan.read_plans(plan.PENDING)
        confirm._keep(one, "alice")
    until(lambda: not watchers())
    done = install("--uninstall")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "    sudo trex deactivate sshd"
    assert run("trex", "deactivate", "sshd", "--yes").returncode == 0
    assert PAM.read_text() == waiting


def test_the_package_takes_it_back_before_it_goes(waiting: str) -> None:
    PACKAGED.symlink_to(f"{LIBRARY}/current")
    for action, now in (("upgrade", False), ("remove", True)):
        done = subprocess.run(
            ["sh", PROJECT / "debian/trex.prerm", action], capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (PAM.read_text() == waiting) == now
    PACKAGED.unlink()
    assert "trex activate was not confirmed, so it was taken back." in done.stderr
    assert not DROP_IN.exists()
    assert sorted(path.name for path in STATE.iterdir()) == ["lock"]


def test_by_force_it_is_taken_back_first(waiting: str) -> None:
    done = install("--uninstall", "--force")
    was_there = DOOR.exists()
    assert install().returncode == 0  # for the other tests
    assert done.returncode == 0, done.stderr
    assert "trex activate sshd was not confirmed, so it was taken back." in done.stdout
    assert PAM.read_text() == waiting
    assert not DROP_IN.exists()
    assert not was_there
