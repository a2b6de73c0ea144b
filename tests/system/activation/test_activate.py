"""`trex activate` from a host as Debian has it to a confirmed one, and back."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.activation import DROP_IN, PAM, WITNESSES, make_due, run, until, watchers
from tests.support.sshd import saying
from trex.cli.activation import activate, back, change, plan, turn
from trex.cli.activation.lines import Choice
from trex.cli.errors import CommandError
from trex.login.witness import status_of_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.activation import HostSshd
    from tests.support.sandbox import Account

ACTIVATE = ("trex", "activate", "sshd", "--yes", "--watcher-alone")
FILE = Path("/etc/trex/doctor.toml")
BACKUP = Path("/etc/ssh/sshd_config.d/99-other.conf")


def tells(*command: str, status: int = 0) -> str:
    """Run a command that ends so, and return all that it says."""
    done = run(*command)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def old_session(server: HostSshd) -> Iterator[subprocess.Popen[str]]:
    """A shell of alice's over ssh, from before: by her SSH key alone, as Debian has it."""
    shell = subprocess.Popen(
        [*server.command("alice"), "sh"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={"PATH": "/usr/bin:/bin", "HOME": "/"},
    )  # fmt: skip
    assert in_session(shell, "echo here") == ["here"]
    yield shell
    shell.communicate("exit\n", timeout=60)


def in_session(shell: subprocess.Popen[str], command: str) -> list[str]:
    """Run a command there and return its lines."""
    assert shell.stdin
    assert shell.stdout
    shell.stdin.write(f"{command} 2>&1; echo END\n")
    shell.stdin.flush()
    lines: list[str] = []
    while (line := shell.stdout.readline()) != "END\n":
        assert line, f"the session has ended: {lines}"
        lines.append(line.strip())
    return lines


def test_a_login_that_trex_lets_in_confirms_it_and_no_session_from_before(
    machine: Account, server: HostSshd, responder: Path, old_session: subprocess.Popen[str]
) -> None:
    before, mode = PAM.read_text(), PAM.stat()
    told = tells(*ACTIVATE)
    assert "+auth  required  pam_trex.so" in told
    assert "-@include common-auth" in told
    assert "no longer asked by sshd: pam_unix.so" in told
    assert "bob" not in told
    after = PAM.read_text()
    assert after.splitlines()[6:] == before.splitlines()[4:], "two comments and a line for one line"
    assert (PAM.stat().st_mode, PAM.stat().st_uid) == (mode.st_mode, mode.st_uid)
    assert DROP_IN.stat().st_mode & 0o7777 == 0o644

    refused = in_session(old_session, "sudo trex confirm")
    assert "this is no login that Trex has let in through sshd since then" in refused[0]
    assert server.log_in("alice", saying(server.directory, "no"), "true").returncode != 0
    assert "no login" in tells("trex", "confirm", status=1)

    login = server.log_in("alice", responder, "sudo trex confirm")
    assert login.returncode == 0, login.stderr
    assert "Confirmed: sshd asks Trex." in login.stderr
    until(lambda: not watchers())
    assert not WITNESSES.exists()
    assert list(PAM.parent.glob(".*.trex-*")) == []
    assert in_session(old_session, "echo still here") == ["still here"]

    assert "asks Trex already" in tells("trex", "activate", "sshd", "--watcher-alone")
    assert PAM.read_text() == after
    assert "nothing waits" in tells("trex", "confirm", status=1)

    assert "Restored" in tells("trex", "deactivate", "sshd", "--yes")
    assert PAM.read_text() == before
    assert not DROP_IN.exists()
    assert "not switched sshd on" in tells("trex", "deactivate", "sshd", status=1)
    assert in_session(old_session, "echo still here") == ["still here"]
    until(lambda: server.log_in("alice", responder, "true").returncode == 0)


def test_a_note_of_a_login_that_had_begun_before_confirms_nothing(
    machine: Account, server: HostSshd
) -> None:
    """Of a prompt that was open already, or of an earlier activation whose confirm was killed."""
    here = f"{os.getpid()}.{status_of_process(os.getpid())[1]}"
    (WITNESSES / "sshd").mkdir(parents=True)
    (WITNESSES / "sshd" / here).write_text("alice")
    old = os.umask(0)
    try:
        tells(*ACTIVATE)
    finally:
        os.umask(old)
    assert WITNESSES.stat().st_mode & 0o777 == 0o700
    assert list(WITNESSES.glob("*/*")) == []
    (WITNESSES / "sshd" / here).write_text("alice")
    assert "no login that Trex has let in" in tells("trex", "confirm", status=1)
    tells("trex", "deactivate", "sshd")
    until(lambda: not watchers())


def test_without_a_login_everything_is_as_before_after_the_time(
    machine: Account, server: HostSshd, responder: Path
) -> None:
    before = PAM.read_bytes()
    told = tells(*ACTIVATE, "--timeout", "90s")
    assert re.search(r"in (90|[1-8]\d|[1-9]) seconds", told)
    assert PAM.read_bytes() != before
    assert "waits to be confirmed until" in tells(*ACTIVATE, status=1)
    make_due()
    until(lambda: not watchers())
    assert PAM.read_bytes() == before
    assert not DROP_IN.exists()
    assert not WITNESSES.exists()
    assert "nothing waits" in tells("trex", "confirm", status=1)
    login = server.log_in("alice", responder, "echo in")  # by her SSH key alone
    assert login.stdout == "in\n"


def test_what_waits_can_be_taken_back_at_once(machine: Account, server: HostSshd) -> None:
    before = PAM.read_bytes()
    tells(*ACTIVATE)
    assert "Taken back" in tells("trex", "deactivate", "sshd")
    assert PAM.read_bytes() == before
    until(lambda: not watchers())


def test_a_dry_run_changes_nothing(machine: Account, server: HostSshd) -> None:
    before = PAM.read_bytes()
    told = tells(*ACTIVATE, "--dry-run")
    assert "+AuthenticationMethods publickey,keyboard-interactive:pam" in told
    assert "not set up, so these are refused: root" in told
    assert PAM.read_bytes() == before
    assert not DROP_IN.exists()
    assert watchers() == []


def test_where_nothing_would_act_after_a_reboot_it_has_to_be_accepted(machine: Account) -> None:
    told = tells("trex", "activate", "sshd", "--yes", status=1)
    assert "neither systemd nor cron runs here" in told
    assert "--watcher-alone" in told


def test_nothing_is_changed_where_nobody_could_log_in(machine: Account, server: HostSshd) -> None:
    machine.record.unlink()
    before = PAM.read_bytes()
    told = tells(*ACTIVATE, status=1)
    assert "nobody is set up: sshd would refuse everybody" in told
    assert "not set up, so these are refused: root" in told
    assert "alice" in told
    assert PAM.read_bytes() == before


@pytest.mark.parametrize("without", [(), ("setpriv", "--bounding-set", "-sys_admin")])
def test_a_configuration_that_sshd_cannot_read_is_found_before_it_counts(
    machine: Account, server: HostSshd, without: tuple[str, ...]
) -> None:
    """Also where no mount namespace can be made: then after the change, which is taken back."""
    before = PAM.read_bytes()
    BACKUP.write_text("NoSuchOption yes\n")
    try:
        told = tells(*without, *ACTIVATE, status=1)
    finally:
        BACKUP.unlink()
    assert "NoSuchOption" in told
    assert PAM.read_bytes() == before
    assert not DROP_IN.exists()
    until(lambda: not watchers())


@pytest.mark.parametrize("without", [(), ("setpriv", "--bounding-set", "-sys_admin")])
def test_what_the_doctor_would_find_is_found_before_it_counts(
    machine: Account, server: HostSshd, without: tuple[str, ...]
) -> None:
    """sshd takes the first value that it finds."""
    before = PAM.read_bytes()
    first = BACKUP.with_name("00-first.conf")
    first.write_text("UsePAM no\n")
    try:
        told = tells(*without, *ACTIVATE, status=1)
        assert "error: sshd has UsePAM no" in told
        assert "trex doctor --service sshd would find these errors" in told
        assert PAM.read_bytes() == before
        assert not DROP_IN.exists()
        tells(*ACTIVATE, "--anyway")
        tells("trex", "deactivate", "sshd")
    finally:
        first.unlink()
    until(lambda: not watchers())


def test_a_file_that_cannot_be_written_leaves_everything_as_it_was(
    machine: Account, server: HostSshd
) -> None:
    before = PAM.read_bytes()
    subprocess.run(["mount", "--bind", "/etc/pam.d", "/etc/pam.d"], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", "/etc/pam.d"], check=True)
    try:
        told = tells(*ACTIVATE, status=1)
    finally:
        subprocess.run(["umount", "/etc/pam.d"], check=True)
    assert "Read-only file system" in told
    assert "everything is as before" in told
    assert PAM.read_bytes() == before
    assert not DROP_IN.exists()


def test_the_way_back_needs_no_space_on_the_disk(machine: Account, server: HostSshd) -> None:
    before = PAM.read_bytes()
    small = Path("/run/trex/small-pam.d")
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "small", small], check=True)
    try:
        subprocess.run(["cp", "-a", "/etc/pam.d/.", small], check=True)
        subprocess.run(["mount", "--bind", small, "/etc/pam.d"], check=True)
        tells(*ACTIVATE)
        assert PAM.read_bytes() != before
        filler = small / ".filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(8 << 20))
        assert "Taken back" in tells("trex", "deactivate", "sshd")
        assert PAM.read_bytes() == before
    finally:
        subprocess.run(["umount", "/etc/pam.d"], check=True)
        subprocess.run(["umount", small], check=True)
        small.rmdir()
    until(lambda: not watchers())


def test_a_stopped_activate_changes_nothing_once_it_was_taken_back(
    machine: Account, server: HostSshd
) -> None:
    """Ctrl-Z at the worst moment: what it would still rename is gone."""
    before = PAM.read_bytes()
    put = change.put

    def put_late(edit: plan.Edit) -> None:
        if edit.path == str(PAM):
            [one] = plan.read_plans(plan.PENDING)
            assert back.take_back(one.identity) == []
        put(edit)

    choice = Choice("sshd")
    with turn.one_at_a_time(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(change, "put", put_late)
        with pytest.raises(CommandError, match=r"\.trex-new: No such file"):
            activate._switch_on(choice, activate._edits(choice), 60, anyway=True)
    assert PAM.read_bytes() == before
    assert not DROP_IN.exists()
    until(lambda: not watchers())


def test_an_activate_that_goes_on_while_it_is_taken_back_has_nothing_to_put(
    machine: Account, server: HostSshd
) -> None:
    """What it would rename is gone before the first file is put back."""
    before = PAM.read_bytes()
    put_back = change.put_back
    late = []

    def put_back_and_go_on(edit: plan.Edit) -> None:
        put_back(edit)
        with pytest.raises(FileNotFoundError):
            change.put(edit)
        late.append(edit.path)

    choice = Choice("sshd")
    with turn.one_at_a_time(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(activate, "_put", lambda _: None)  # stopped before
        one = activate._switch_on(choice, activate._edits(choice), 60, anyway=True)
        patch.setattr(change, "put_back", put_back_and_go_on)
        assert back.take_back(one.identity) == []
    assert len(late) == len(one.edits)
    assert PAM.read_bytes() == before
    assert not DROP_IN.exists()
    until(lambda: not watchers())


def test_only_root_can(machine: Account) -> None:
    for words in (["activate", "sshd"], ["confirm"], ["deactivate", "sshd"]):
        done = subprocess.run(
            ["setpriv", "--reuid", str(machine.uid), "--clear-groups", "trex", *words],
            capture_output=True, text=True, check=False, cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 1
        assert "only root can do this" in done.stderr


def test_an_account_that_is_exempt_by_intention_is_not_named(
    machine: Account, bob: Account
) -> None:
    """A machine account's login goes by a Match block, which no record would change."""
    bob.record.unlink(missing_ok=True)
    assert "bob" in not_set_up()
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text('[[exempt]]\nuser = "bob"\nreason = "backup, by its SSH key"\n')
    try:
        assert "bob" not in not_set_up()
    finally:
        FILE.unlink()


def test_an_account_that_has_expired_or_has_no_shell_is_not_named(
    machine: Account, bob: Account
) -> None:
    """Whom it names are those that `trex list --not-enrolled` shows, and root."""
    bob.record.unlink(missing_ok=True)
    shell = pwd.getpwnam("bob").pw_shell
    for set_so, set_back in (
        (("--expiredate", "1"), ("--expiredate", "")),
        (("--shell", "/opt/sbin/nologin"), ("--shell", shell)),
    ):
        assert "bob" in not_set_up()
        subprocess.run(["usermod", *set_so, "bob"], check=True, capture_output=True)
        try:
            assert "bob" not in not_set_up()
        finally:
            subprocess.run(["usermod", *set_back, "bob"], check=True)


def test_an_account_whose_shell_is_not_in_the_list_of_shells_is_named(
    machine: Account, bob: Account
) -> None:
    """sshd starts any program, and refuses whoever has none: git-shell is in no /etc/shells."""
    bob.record.unlink(missing_ok=True)
    shell = pwd.getpwnam("bob").pw_shell
    subprocess.run(["usermod", "--shell", "/usr/bin/git-shell", "bob"], check=True)
    try:
        assert "bob" in not_set_up()
    finally:
        subprocess.run(["usermod", "--shell", shell, "bob"], check=True)


def not_set_up() -> list[str]:
    """Return whom an activation of sshd names as not set up."""
    told = tells(*ACTIVATE, "--dry-run")
    named = re.search(r"^not set up, so these are refused: (.*)$", told, re.MULTILINE)
    assert named, told
    return named[1].split(", ")
