"""`trex list` and homes: entered with their users' rights, and none holds up the others."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import sandbox
from tests.support.listing import account as line
from tests.support.listing import listed, states
from tests.support.silent import silent
from trex.cli.accounts import gathering
from trex.cli.accounts.gathering import gather
from trex.cli.accounts.people import everybody
from trex.cli.accounts.records import read_records
from trex.cli.accounts.sources import Source
from trex.login.options import Options
from trex.system.privilege import find_account

if TYPE_CHECKING:
    import pytest

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys


def test_homes_that_only_a_group_may_enter_are_entered(
    host: Account, bob: Account, keys: Keys
) -> None:
    """Also where the database does not list who is in the group, as with sssd."""
    subprocess.run(["groupadd", "trex-staff"], check=True)
    subprocess.run(["usermod", "--append", "--groups", "trex-staff", "alice"], check=True)
    staff = Path("/home/staff")
    staff.mkdir(mode=0o750)
    shutil.chown(staff, "root", "trex-staff")
    host.home.rename(staff / "alice")
    subprocess.run(["usermod", "--home", staff / "alice", "alice"], check=True)
    assert states(listed(), "alice", "bob") == ["ok", "not enrolled"]
    few = find_account("alice")
    few.groups = [few.gid]
    told = read_records([few], Options(), None, 15)["enrolments"]["alice"]
    assert (told["fault"], told["keys"][0]["fingerprint"]) == ("", keys["cv25519"])
    subprocess.run(["gpasswd", "--delete", "alice", "trex-staff"], check=True, capture_output=True)
    assert states(listed(), "alice") == ["unusable"], "and otherwise not, root or no root"
    (staff / "alice").rename(host.home)
    subprocess.run(["usermod", "--home", host.home, "alice"], check=True)
    staff.rmdir()
    subprocess.run(["groupdel", "trex-staff"], check=True)


def test_a_home_that_does_not_answer_is_told_and_holds_up_nobody(
    host: Account, bob: Account
) -> None:
    with silent(bob.home):
        report = listed()
    assert states(report, "alice", "bob") == ["ok", "unknown"]
    assert report["status"] == 3


def test_a_record_of_an_account_without_a_home_refuses_nobody_else(
    host: Account, bob: Account
) -> None:
    passwd = Path("/etc/passwd")
    kept = passwd.read_text()
    passwd.write_text(kept.replace(":/home/bob:", "::"))
    assert states(listed(), "alice", "bob") == ["ok", "not enrolled"]
    passwd.write_text(kept)


def test_many_keyrings_of_users_are_read_without_a_gpg_for_each(
    host: Account, bob: Account, carol: Account, holder: Holder, keys: Keys, place: Path
) -> None:
    """A copy of one key in every home, and one home that is no plain case."""
    for user in (bob, carol):
        user.import_keys(holder.public(keys["cv25519"]))
        user.write(f"{keys['cv25519']} trust nosign\n")
    host.write(f"{keys['cv25519']} trust nosign\n")
    assert states(listed(), "alice", "bob", "carol") == ["ok"] * 3
    broken = place / "list-no-gpg"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    sandbox.trex_service("sshd", f"gpg={broken}")
    assert states(listed(), "alice", "bob", "carol") == ["unusable"] * 3, "it is gpg that judges"
    sandbox.trex_service("sshd")
    ring = carol.gnupg / "pubring.kbx"
    ring.write_bytes(ring.read_bytes()[:-40])
    assert states(listed(), "alice", "bob", "carol")[:2] == ["ok", "ok"]
    os.truncate(ring, 0)
    assert states(listed(), "alice", "bob", "carol") == ["ok", "ok", "unusable"]
    broken.unlink()


def test_a_keyring_that_gpg_waits_for_is_waited_for_in_vain(
    host: Account, bob: Account, keys: Keys
) -> None:
    sandbox.trex_service("sshd", "gpg_timeout=1")
    bob.write(f"{keys['cv25519']} trust nosign\n")
    bob.gnupg.mkdir(mode=0o700)
    bob.own(bob.gnupg, 0o700)
    os.mkfifo(bob.gnupg / "pubring.kbx")
    bob.own(bob.gnupg / "pubring.kbx", 0o600)
    report = listed()
    assert states(report, "alice", "bob") == ["ok", "unusable"]
    assert "did not finish in time" in line(report, "bob")["enrolments"][0]["fault"]


def test_homes_for_which_there_is_no_time_are_told(
    host: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "HOMES_SECONDS", 0)
    found = gather(Source(Options()), everybody())
    assert "alice" in found.silent
    assert found.enrolments == {}


def test_work_that_fails_for_many_homes_is_done_for_each(
    host: Account, bob: Account, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob.write(f"{keys['cv25519']} trust nosign\n")
    real = gathering._examine

    def fail_for_many(accounts: list[object], *rest: object) -> object:
        if len(accounts) > 1:
            os._exit(1)
        return real(accounts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(gathering, "_examine", fail_for_many)
    found = gather(Source(Options()), everybody())
    assert found.enrolments["alice"].fault == ""
    assert "no keyring" in found.enrolments["bob"].fault
