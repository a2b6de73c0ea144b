"""Accounts that answer no challenge get in by SSH key alone: as docs/operations.md says, typed block by block."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import trex
from tests.support.examination import SSHD, write_sshd
from tests.support.page_text import blocks, typed
from tests.support.sandbox import PAM_SERVICES
from tests.support.sshd import Sshd, answering, saying

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log

ACCOUNTS, MATCH, LOOK, SUDO, EXEMPT = blocks("docs/operations.md", "## Machine accounts")
SERVICE = "trex-machines"
FILE = Path("/etc/ssh/sshd_config.d/02-machines.conf")
KEYS = Path("/etc/ssh/machine_keys")
INSIDE, ELSEWHERE = "192.0.2.10", "127.0.0.1"  # the page's address, and another
WAYS = "publickey,keyboard-interactive,password"


@pytest.fixture
def address(place: Path) -> Iterator[None]:
    """Give this machine the address that the page names, too."""
    subprocess.run(["ip", "address", "add", f"{INSIDE}/32", "dev", "lo"], check=True)
    yield
    subprocess.run(["ip", "address", "del", f"{INSIDE}/32", "dev", "lo"], check=True)


@pytest.fixture
def server(address: None, alice: Account, tmp_path: Path) -> Iterator[Sshd]:
    """sshd as the README has it, with Debian's own service and Trex in it, and the page's block."""
    debian = (PAM_SERVICES / "sshd").read_text()
    assert debian.count("@include common-auth\n") == 1
    (PAM_SERVICES / SERVICE).write_text(
        debian.replace("@include common-auth\n", f"auth required {sandbox.DOOR}\n")
    )
    write_sshd()
    FILE.write_text(MATCH)
    running = Sshd(SERVICE, "publickey,keyboard-interactive:pam", more=f"Include {FILE}\n")
    shutil.copy(running.directory / "client_key.pub", tmp_path / "ansible.pub")
    typed(ACCOUNTS, tmp_path)
    yield running
    running.close()
    motd = Path("/run/motd.dynamic")  # pam_motd's
    for path in (FILE, SSHD, PAM_SERVICES / SERVICE, Path("/etc/sudoers.d/ansible"), motd):
        path.unlink(missing_ok=True)
    shutil.rmtree(KEYS)
    subprocess.run(["userdel", "--remove", "--force", "ansible"], check=True, capture_output=True)
    subprocess.run(["groupdel", "machines"], check=True)


def ssh(
    server: Sshd, askpass: Path, user: str, run: str = "id -un", *options: str,
    origin: str = INSIDE, key: str = "client_key",
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run ssh from an address of this machine's, with a key of the server's directory."""
    command = server.command(user, "-b", origin, *options, methods=WAYS)
    command[command.index("-i") + 1] = str(server.directory / key)
    return subprocess.run(
        [*command, run], capture_output=True, text=True, check=False, timeout=60,
        stdin=subprocess.DEVNULL, start_new_session=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(server.directory), "LC_ALL": "C.UTF-8",
             "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"},
    )  # fmt: skip


def log_in(server: Sshd, askpass: Path, user: str, run: str = "id -un") -> str:
    """Return what the command prints over there, "" where the login is refused."""
    return ssh(server, askpass, user, run).stdout


def test_a_machine_account_gets_in_by_its_key_and_nobody_else_does(
    server: Sshd, place: Path, holder: Holder, log: Log, alice: Account
) -> None:
    nothing = saying(place, "")
    log.clear()
    assert log_in(server, nothing, "ansible") == "ansible\n"
    assert log.trex() == []
    assert "Accepted publickey for ansible" in server.log.read_text()
    assert log_in(server, nothing, alice.name) == "", "alice's SSH key alone"
    assert log_in(server, answering(place, holder, place / "shown"), alice.name) == "alice\n"


def is_refused(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 255 and "Permission denied (publickey)" in done.stderr


def test_a_machine_account_gets_in_by_nothing_else(server: Sshd, place: Path) -> None:
    subprocess.run(["chpasswd"], input="ansible:correct", text=True, check=True)
    password = saying(place, "correct")
    assert is_refused(ssh(server, password, "ansible", origin=ELSEWHERE)), "its key, elsewhere"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", server.directory / "other"],
                   check=True)  # fmt: skip
    assert is_refused(ssh(server, password, "ansible", key="other")), "by its password"
    own = Path("/home/ansible/.ssh")
    own.mkdir()
    shutil.copy(server.directory / "other.pub", own / "authorized_keys")
    for path in (own, own / "authorized_keys"):
        shutil.chown(path, "ansible", "ansible")
    assert is_refused(ssh(server, password, "ansible", key="other")), (
        "keys of the home are not read"
    )


def test_the_account_phase_refuses_as_the_page_says(server: Sshd, place: Path) -> None:
    nothing = saying(place, "")
    shadow = Path("/etc/shadow").read_text()
    assert "\nansible:!:" in shadow, "a locked password"
    assert log_in(server, nothing, "ansible") == "ansible\n"
    typed("usermod --expiredate 1 ansible", place)
    assert log_in(server, nothing, "ansible") == ""
    typed("usermod --expiredate '' ansible", place)
    nologin = Path("/etc/nologin")
    nologin.write_text("closed\n")
    try:
        assert log_in(server, nothing, "ansible") == ""
    finally:
        nologin.unlink()
    assert log_in(server, nothing, "ansible") == "ansible\n"


def test_restrict_allows_no_terminal(server: Sshd, place: Path) -> None:
    done = ssh(server, saying(place, ""), "ansible", "tty", "-tt")
    assert "PTY allocation request failed" in done.stderr


def test_sshd_makes_of_it_what_the_page_looks_for(server: Sshd, tmp_path: Path) -> None:
    check, look, reload = LOOK.splitlines()
    assert (check, reload) == ("sshd -t", "systemctl reload ssh")
    typed(check, tmp_path)
    assert sorted(typed(look, tmp_path).splitlines()) == [
        "authenticationmethods publickey",
        "authorizedkeysfile /etc/ssh/machine_keys/%u",
    ]
    everybody = typed(look.replace("user=ansible", "user=alice"), tmp_path)
    assert "authenticationmethods publickey,keyboard-interactive:pam" in everybody


def test_the_two_pages_have_the_same_block() -> None:
    (there,) = blocks("docs/configuration.md", "### Accounts that answer no challenge")
    assert there == MATCH


def test_sudo_asks_such_an_account_nothing_and_others_for_an_answer(
    server: Sshd, place: Path, tmp_path: Path, alice: Account
) -> None:
    kept = (PAM_SERVICES / "sudo").read_bytes()
    sandbox.trex_service("sudo")
    nothing = saying(place, "")
    try:
        assert log_in(server, nothing, "ansible", "sudo -n id -un || echo refused") == "refused\n"
        typed(SUDO, tmp_path)
        assert log_in(server, nothing, "ansible", "sudo -n id -un") == "root\n"
    finally:
        (PAM_SERVICES / "sudo").write_bytes(kept)


@pytest.mark.parametrize("words", [(), ("--user", "ansible")], ids=["everybody", "by name"])
def test_the_doctor_says_that_it_is_by_intention(server: Sshd, words: tuple[str, ...]) -> None:
    kept = (PAM_SERVICES / "sshd").read_bytes()
    (PAM_SERVICES / "sshd").write_bytes((PAM_SERVICES / SERVICE).read_bytes())
    note = Path("/etc/trex/doctor.toml")
    note.parent.mkdir(exist_ok=True)
    try:
        before = found_of_sshd(*words)
        note.write_text(EXEMPT)
        after = found_of_sshd(*words)
    finally:
        (PAM_SERVICES / "sshd").write_bytes(kept)
        note.unlink(missing_ok=True)
        note.parent.rmdir()
    assert "error" in before.values()
    assert after == {"exempt": "note"}


def found_of_sshd(*words: str) -> dict[str, str]:
    """Return how severe is what `trex doctor` finds of the ways into this account, by check."""
    told = json.loads(trex("doctor", *words, "--json").stdout)
    found = [one for one in told["findings"] if "ansible" in one["subject"] + one["what"]]
    return {
        one["check"]: one["severity"]
        for one in found
        if one["check"].startswith("sshd-") or one["check"] == "exempt"
    }
