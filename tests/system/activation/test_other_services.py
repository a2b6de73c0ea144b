"""sudo, su and login: confirmed by their own challenge, and by nothing else."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.activation import run, until, watchers
from tests.support.command import finish
from tests.support.page_text import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

import pexpect

MESSAGE = r"-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----"
RULE = Path("/etc/sudoers.d/trex-activation")
TIOCGPTPEER = 0x5441  # ioctl_tty(2)
SERVICES = {"sudo": ["sudo", "sudo-i"], "su": ["su"], "login": ["login"]}


@pytest.fixture
def central(machine: Account, holder: Holder, keys: Keys) -> Iterator[Account]:
    """Central mode by the commands of the README, with alice and root in it."""
    accounts, *_ = blocks("README.md", "### Central mode")
    subprocess.run(["bash", "-e", "-c", accounts], check=True)
    public = Path("/run/trex/login.asc")
    public.write_bytes(holder.public(keys["cv25519"]))
    for name in ("alice", "root"):
        done = run(
            "trex", "enroll", "--central", "--key-file", "--user", name, "--key", public, "--yes"
        )
        assert done.returncode == 0, done.stderr
    RULE.write_text("alice ALL=(ALL) ALL\n")
    yield machine
    public.unlink()
    subprocess.run(["rm", "-r", "/etc/trex"], check=True)
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


def as_alice(account: Account, *command: str) -> pexpect.spawn:
    """Start a command of alice's on a terminal of its own."""
    return pexpect.spawn(
        "setpriv", ["--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups", *command],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(account.home), "TERM": "dumb",
             "LC_ALL": "C.UTF-8"},
        encoding="utf-8", timeout=120, echo=False, dimensions=(60, 200), cwd=str(account.home),
    )  # fmt: skip


def respond(terminal: pexpect.spawn, holder: Holder) -> None:
    terminal.expect("You have 10 minutes")
    message = terminal.before[terminal.before.index("-----BEGIN") :]
    terminal.expect("Response: ")
    terminal.sendline(str(holder.decrypt(message)).strip())


@pytest.mark.parametrize(
    ("service", "command"),
    [("sudo", ["sudo", "trex", "confirm"]), ("su", ["su", "-c", "trex confirm"])],
)
def test_the_challenge_of_the_service_itself_confirms_it(
    central: Account, holder: Holder, service: str, command: list[str]
) -> None:
    files = [sandbox.PAM_SERVICES / name for name in SERVICES[service]]
    before = [path.read_text() for path in files]
    done = run("trex", "activate", service, "--yes", "--watcher-alone")
    assert done.returncode == 0, done.stdout + done.stderr
    for path in files:
        assert "pam_trex.so auth_file=/etc/trex/users/%u" in path.read_text()
    assert run("trex", "confirm").returncode == 1
    RULE.write_text("alice ALL=(ALL) NOPASSWD: ALL\n")  # as with an answer that sudo remembers
    terminal = as_alice(central, "sudo", "trex", "confirm")
    terminal.expect(f"this is no login that Trex has let in through {service}")
    assert finish(terminal) == 1
    RULE.write_text("alice ALL=(ALL) ALL\n")
    terminal = as_alice(central, *command)
    respond(terminal, holder)
    terminal.expect("Confirmed")
    assert finish(terminal) == 0
    until(lambda: not watchers())
    assert run("trex", "deactivate", service, "--yes").returncode == 0
    assert [path.read_text() for path in files] == before


@pytest.mark.parametrize(("service", "is_asked"), [("sudo", False), ("su", True)])
def test_root_is_named_as_not_set_up_where_root_s_key_is_asked_for(
    central: Account, service: str, is_asked: bool
) -> None:
    Path("/etc/trex/users/root").unlink()
    done = run("trex", "activate", service, "--dry-run", "--watcher-alone")
    told = done.stdout + done.stderr
    assert "This was a dry run" in told
    assert (re.search(r"not set up, so these are refused: root\b", told) is not None) == is_asked


def test_su_s_other_service_is_named_as_it_reads_the_same_lines(central: Account) -> None:
    done = run("trex", "activate", "su", "--dry-run", "--watcher-alone")
    assert done.returncode == 0, done.stderr
    assert "the same lines are read by su-l" in done.stderr
    assert "sudo" not in done.stderr


def test_login_waits_as_long_as_a_challenge_is_valid(machine: Account) -> None:
    limits = Path("/etc/login.defs")
    before = limits.read_text()
    done = run("trex", "activate", "login", "--yes", "--watcher-alone")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LOGIN_TIMEOUT\t\t600" in limits.read_text()
    assert run("trex", "deactivate", "login").returncode == 0
    assert limits.read_text() == before
    until(lambda: not watchers())


def test_a_login_at_a_console_confirms_login(machine: Account, holder: Holder, keys: Keys) -> None:
    before = (sandbox.PAM_SERVICES / "login").read_text()
    done = run("trex", "activate", "login", "--yes", "--watcher-alone")
    assert done.returncode == 0, done.stdout + done.stderr
    console = pexpect.spawn(
        "sh", ["-c", "read go; exec login -p alice"], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb"},
        encoding="utf-8", timeout=120, dimensions=(60, 200), cwd="/",
    )  # fmt: skip
    # As in test_programs.py: util-linux's login closes its terminal for a moment.
    held = fcntl.ioctl(console.child_fd, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
    console.sendline()
    respond(console, holder)
    os.close(held)
    console.expect(r"\$ ")
    console.sendline("sudo trex confirm")
    console.expect("Confirmed: login asks Trex")
    console.expect(r"\$ ")  # sudo's terminal takes what is typed before
    console.sendline("exit")
    finish(console)
    until(lambda: not watchers())
    assert run("trex", "deactivate", "login", "--yes").returncode == 0
    assert (sandbox.PAM_SERVICES / "login").read_text() == before
