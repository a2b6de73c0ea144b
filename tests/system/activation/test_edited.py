"""What others have a say in: files edited since, packages, configuration tools, links."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.activation import DROP_IN, PAM, STATE, run, until, watchers
from trex.cli.activation import confirm, plan, turn
from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from tests.support.activation import HostSshd
    from tests.support.sandbox import Account

ACTIVATE = ("trex", "activate", "sshd", "--yes", "--watcher-alone")


def tells(*command: str, status: int = 0) -> str:
    done = run(*command)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def keep() -> None:
    """Confirm, as from a login that Trex has let in."""
    with turn.one_at_a_time():
        [one] = plan.read_plans(plan.PENDING)
        confirm._keep(one, "alice")
    until(lambda: not watchers())


def test_deactivate_overwrites_nothing_that_somebody_else_has_written(
    machine: Account, server: HostSshd
) -> None:
    before = PAM.read_text()
    tells(*ACTIVATE)
    keep()
    ours = PAM.read_text()
    PAM.write_text(ours + "session optional pam_echo.so hello\n")
    drop_in = DROP_IN.read_text()
    told = tells("trex", "deactivate", "sshd", "--yes", status=1)
    assert "+session optional pam_echo.so hello" in told
    assert "somebody else has edited /etc/pam.d/sshd since; nothing was changed" in told
    assert "+@include common-auth" in told
    assert "trex deactivate sshd --forget" in told
    assert (PAM.read_text(), DROP_IN.read_text()) == (
        ours + "session optional pam_echo.so hello\n",
        drop_in,
    )
    assert "was edited after trex activate had written it" in tells(*ACTIVATE, "--nullok", status=1)
    assert "Forgotten" in tells("trex", "deactivate", "sshd", "--forget")
    assert plan.read_active("sshd") is None
    PAM.write_text(before)


def test_what_trex_activate_has_not_written_is_named(machine: Account) -> None:
    before = PAM.read_text()
    told = tells("trex", "deactivate", "sshd", status=1)
    assert "has not switched sshd on: sshd does not ask Trex" in told
    PAM.write_text(f"auth required pam_trex.so\n{before}")
    told = tells("trex", "deactivate", "sshd", status=1)
    assert "written by hand: /etc/pam.d/sshd:1" in told
    assert "hint: sudoedit /etc/pam.d/sshd; " in told
    PAM.write_text(before)


def test_another_activation_of_the_same_service_still_leads_back_to_the_beginning(
    machine: Account, server: HostSshd
) -> None:
    before = PAM.read_text()
    tells(*ACTIVATE, "--nullok")
    keep()
    nullok = PAM.read_text()
    tells(*ACTIVATE)
    assert "nullok" not in PAM.read_text()
    assert "An earlier activation counts again" in tells("trex", "deactivate", "sshd")
    until(lambda: not watchers())
    assert PAM.read_text() == nullok
    tells(*ACTIVATE)
    keep()
    assert "Restored" in tells("trex", "deactivate", "sshd", "--yes")
    assert PAM.read_text() == before
    assert not DROP_IN.exists()
    assert sorted(path.name for path in STATE.iterdir()) == ["lock"]


def test_what_somebody_edits_before_it_is_confirmed_is_kept_and_the_old_state_is_back(
    machine: Account, server: HostSshd
) -> None:
    before = PAM.read_text()
    tells(*ACTIVATE)
    PAM.write_text("auth required pam_deny.so # mine\n")
    assert "Taken back" in tells("trex", "deactivate", "sshd")
    until(lambda: not watchers())
    assert PAM.read_text() == before
    assert (STATE / "edited-sshd").read_text() == "auth required pam_deny.so # mine\n"
    assert (STATE / "edited-sshd").stat().st_mode & 0o777 == 0o600


def test_what_was_edited_meanwhile_is_not_confirmed(
    machine: Account, server: HostSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login came through other lines, perhaps; what is there now nobody has tried."""
    tells(*ACTIVATE)
    PAM.write_text("auth required pam_deny.so\n")
    monkeypatch.setattr(confirm, "witness", lambda _: "alice")
    assert confirm.command.callback
    with pytest.raises(CommandError, match="sshd has been edited since"):
        confirm.command.callback()
    tells("trex", "deactivate", "sshd")
    until(lambda: not watchers())


def test_who_else_writes_a_file_is_said_and_a_link_stays_a_link(
    machine: Account, server: HostSshd
) -> None:
    text = "# Ansible managed: do not edit\n" + PAM.read_text()
    there = Path("/etc/pam.d-of-ansible")
    there.write_text(text)
    PAM.unlink()
    PAM.symlink_to(there)
    try:
        told = tells(*ACTIVATE)
        assert f"/etc/pam.d/sshd leads to {there}: that file is changed, and the link stays" in told
        assert 'says "# Ansible managed: do not edit": whoever writes it will undo this' in told
        assert os.readlink(PAM) == str(there)
        assert "pam_trex.so" in there.read_text()
        tells("trex", "deactivate", "sshd")
        until(lambda: not watchers())
        assert there.read_text() == text
        assert PAM.is_symlink()
    finally:
        PAM.unlink()
        there.unlink()


def test_a_package_s_configuration_file_is_said_to_be_one(
    machine: Account, server: HostSshd
) -> None:
    told = tells(*ACTIVATE, "--dry-run")
    assert (
        "/etc/pam.d/sshd is a configuration file of openssh-server, as the package has it" in told
    )
    PAM.write_text(PAM.read_text() + "# mine\n")
    told = tells(*ACTIVATE, "--dry-run")
    assert "openssh-server, which differs from the package's already" in told


def test_a_file_that_others_can_replace_is_not_written(machine: Account, server: HostSshd) -> None:
    there = machine.home / "sshd"
    there.write_text(PAM.read_text())
    PAM.unlink()
    PAM.symlink_to(there)
    try:
        told = tells(*ACTIVATE, "--anyway", status=1)
    finally:
        PAM.unlink()
    assert "expected owned by root" in told
    assert "nothing was changed" in told


def test_a_file_keeps_its_owner_mode_and_access_list(machine: Account, server: HostSshd) -> None:
    def access() -> str:
        return subprocess.run(
            ["getfacl", "--numeric", PAM], capture_output=True, text=True, check=True
        ).stdout

    PAM.chmod(0o640)
    os.chown(PAM, 0, 33)
    subprocess.run(["setfacl", "--modify", f"user:{machine.uid}:r", PAM], check=True)
    before = access()
    assert f"user:{machine.uid}:r--" in before
    tells(*ACTIVATE)
    assert access() == before
    keep()
    tells("trex", "deactivate", "sshd", "--yes")
    assert access() == before
    until(lambda: not watchers())
    subprocess.run(["setfacl", "--remove-all", PAM], check=True)
    PAM.chmod(0o644)
    os.chown(PAM, 0, 0)
