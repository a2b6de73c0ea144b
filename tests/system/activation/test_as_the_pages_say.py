"""The commands of the README and of docs/operations.md, typed from the pages; with cron beside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.activation import PAM, make_due, run, until, watchers
from tests.support.command import finish
from tests.support.mounts import mounted
from tests.support.sandbox import PROJECT, processes_here
from tests.support.servers import end
from trex.cli.activation import arm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.activation import HostSshd
    from tests.support.sandbox import Account, Log

CRON = Path(arm.CRON)
OTHER_JOBS = ("/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
              "/etc/cron.monthly", "/var/spool/cron")  # fmt: skip


@pytest.fixture
def cron(machine: Account) -> Iterator[None]:
    """Debian's cron, with no other job than ours."""
    crontab = Path("/etc/crontab")
    kept = crontab.read_bytes()
    crontab.write_text("")
    covered = [
        mounted(Path(name), "-t", "tmpfs", "-o", "mode=755", "no-jobs") for name in OTHER_JOBS
    ]
    for one in covered:
        one.__enter__()
    Path("/var/spool/cron/crontabs").mkdir()
    process = subprocess.Popen(["/usr/sbin/cron", "-f"])
    until(lambda: Path("/run/crond.pid").exists() and arm.survives_reboot())
    yield
    end(process)
    until(lambda: not crons())  # nor a job's
    for path in ("/run/crond.pid", "/run/crond.reboot"):
        Path(path).unlink(missing_ok=True)
    for one in reversed(covered):
        one.__exit__(None, None, None)
    crontab.write_bytes(kept)


def crons() -> list[int]:
    """Return the processes of cron in this sandbox: the jobs' have its name too."""
    found = []
    for pid in processes_here():
        with suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/comm").read_text().strip().lower() == "cron":
                found.append(pid)
    return found


@contextmanager
def cron_stopped() -> Iterator[None]:
    """Keep cron from running its own job meanwhile, as it does each minute."""
    daemon = int(Path("/run/crond.pid").read_text())
    os.kill(daemon, signal.SIGSTOP)
    try:
        until(lambda: crons() == [daemon])
        yield
    finally:
        os.kill(daemon, signal.SIGCONT)


def commands(page: str, heading: str) -> list[str]:
    """Return the commands of `trex` in the blocks below a heading, up to the next of its rank."""
    rank = heading.partition(" ")[0]
    text = (PROJECT / page).read_text("utf-8").partition(f"\n{heading}\n")[2]
    section = re.split(rf"^{rank} ", text, flags=re.MULTILINE)[0]
    found = re.findall(
        r"^    (?:sudo )?(trex (?:activate|confirm|deactivate).*)$", section, re.MULTILINE
    )
    assert found
    return found


def typed(command: str) -> str:
    """Type a command at root's terminal, and y at its question."""
    terminal = pexpect.spawn(
        "sh", ["-c", command], env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/root",
                                    "TERM": "dumb"},
        encoding="utf-8", timeout=120, echo=False, dimensions=(60, 200),
    )  # fmt: skip
    shown = ""
    if terminal.expect([r"\[y/N\] ", pexpect.EOF]) == 0:
        shown = terminal.before
        terminal.sendline("y")
    status = finish(terminal)
    assert status == 0, shown + str(terminal.before)
    return shown + str(terminal.before)


@pytest.mark.parametrize(
    ("page", "heading"),
    [("README.md", "## Set up a server"), ("docs/operations.md", "## Switch it on")],
)
def test_each_command_of_the_page_works_in_its_order(
    cron: None, server: HostSshd, responder: Path, page: str, heading: str
) -> None:
    before = PAM.read_text()
    shown = commands(page, heading)
    for command in shown:
        if command == "trex confirm":
            continue
        told = typed(command)
        if command.startswith("trex activate") and "--dry-run" not in command:
            assert "Changed. At" in told
            assert CRON.exists()
            login = server.log_in("alice", responder, "sudo trex confirm")
            assert login.returncode == 0, login.stderr
    assert "trex confirm" in shown
    if not shown[-1].startswith("trex deactivate"):
        typed("trex deactivate sshd")
    assert PAM.read_text() == before
    assert not CRON.exists()
    until(lambda: not watchers())


def test_where_the_process_that_waits_was_killed_cron_takes_it_back(
    cron: None, server: HostSshd, log: Log
) -> None:
    before = PAM.read_text()
    done = run("trex", "activate", "sshd", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for pid in watchers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not watchers())
    assert PAM.read_text() != before
    make_due()
    try:
        until(lambda: PAM.read_text() == before, 200)
    except AssertionError as error:
        listed = subprocess.run(
            ["ls", "-l", "--full-time", CRON.parent], capture_output=True, text=True, check=True
        )
        raise AssertionError(f"{crons()} {listed.stdout} {log.everything()}") from error
    until(lambda: not CRON.exists())


def test_after_a_start_of_the_host_it_is_taken_back_before_its_time(
    cron: None, server: HostSshd, tmp_path: Path
) -> None:
    """Another boot id is what is left of one, in the sandbox."""
    before = PAM.read_text()
    assert run("trex", "activate", "sshd", "--yes").returncode == 0
    for pid in watchers():
        os.kill(pid, signal.SIGKILL)
    other = tmp_path / "boot_id"
    other.write_text("00000000-0000-4000-8000-000000000000\n")
    [_, due] = re.findall(r"root (.*?) >", CRON.read_text())
    subprocess.run(["sh", "-c", due], check=True)
    assert PAM.read_text() != before, "it is not due yet"
    with cron_stopped(), mounted(Path("/proc/sys/kernel/random/boot_id"), "--bind", str(other)):
        subprocess.run(["sh", "-c", due], check=True)
    assert PAM.read_text() == before
    assert not CRON.exists()
