"""The programs that people log in with: sshd and ssh, su, sudo and login."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.sshd import Sshd, answering, saying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

pytestmark = pytest.mark.usefixtures("door")
WRONG = "Trex: this response was wrong. If you are asked again, it is a new challenge."
PATIENT = "gpg_timeout=120"  # for twenty at once
TIOCGPTPEER = 0x5441  # ioctl_tty(2): the other side of a pseudo-terminal, as a descriptor


def test_a_shell_through_ssh(
    alice: Account, holder: Holder, sshd: Callable[..., Sshd], place: Path, log: Log
) -> None:
    server = sshd()
    shown = place / "shown"
    done = server.log_in("alice", answering(place, holder, shown))
    assert done.stdout == "logged in as alice\n", done.stderr
    prompt = shown.read_text()
    assert prompt.startswith("(alice@127.0.0.1) \nTrex: to log in as alice, ")
    assert "\n-----BEGIN PGP MESSAGE-----\n" in prompt
    [line] = log.trex(" ms=")
    assert re.search(
        r"accepted: user=alice service=trex-sshd-\d+ rhost=127\.0\.0\.1 method=openpgp keys=", line
    )
    assert "sshd" in line.split("[")[0]


def test_a_wrong_answer_is_refused_and_the_next_try_is_a_new_challenge(
    alice: Account, sshd: Callable[..., Sshd], place: Path, log: Log
) -> None:
    """CVE-2015-5600: many tries in one connection; each has a challenge and a gpg of its own."""
    server = sshd()
    prompts = place / "prompts"
    prompts.unlink(missing_ok=True)  # the other door's
    askpass = place / "askpass-wrong"
    askpass.write_text(f'#!/bin/sh\nprintf "%s" "$1" >> {prompts}\necho AAAAAAAAAA\n')
    askpass.chmod(0o755)
    command = server.command("alice", "-o", "NumberOfPasswordPrompts=10", "-o",
                             "KbdInteractiveDevices=pam,pam,pam,pam,pam,pam,pam,pam")  # fmt: skip
    done = subprocess.run(
        [*command, "true"], capture_output=True, text=True, check=False, start_new_session=True,
        stdin=subprocess.DEVNULL,
        env={"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 255
    blocks = re.findall(r"-----BEGIN.*?-----END", prompts.read_text(), flags=re.DOTALL)
    assert 1 <= len(blocks) <= 6, "MaxAuthTries bounds them"
    assert len(set(blocks)) == len(blocks)
    assert len(log.trex("wrong response")) == len(blocks)
    assert done.stderr.count(WRONG) >= len(blocks) - 1, "after the last one sshd hangs up"


def test_public_key_first_so_that_strangers_meet_no_gpg(
    alice: Account, holder: Holder, sshd: Callable[..., Sshd], place: Path, log: Log
) -> None:
    server = sshd(methods="publickey,keyboard-interactive:pam")
    askpass = answering(place, holder, place / "shown")
    alone = server.log_in("alice", askpass, methods="keyboard-interactive")
    assert alone.returncode == 255
    assert log.trex() == [], "the module was not even called"
    both = server.log_in("alice", askpass, methods="publickey,keyboard-interactive")
    assert both.stdout == "logged in as alice\n", both.stderr


def test_a_client_that_goes_away_leaves_nothing(
    alice: Account, sshd: Callable[..., Sshd], place: Path
) -> None:
    """Advisory CVE-2019-12210; the fixture `nothing_left` checks after the server is closed."""
    server = sshd()
    waiting = place / "waiting"
    waiting.unlink(missing_ok=True)  # the other door's
    askpass = place / "askpass-slow"
    askpass.write_text(f"#!/bin/sh\ntouch {waiting}\nexec sleep 30\n")
    askpass.chmod(0o755)
    client = subprocess.Popen(
        [*server.command("alice"), "true"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not waiting.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()


def test_no_descriptor_of_the_login_reaches_the_session(
    alice: Account, holder: Holder, sshd: Callable[..., Sshd], place: Path
) -> None:
    """Advisory CVE-2018-9275: compared with a login that has no Trex in it."""
    askpass = answering(place, holder, place / "shown")
    run = "for fd in /proc/self/fd/*; do readlink $fd || true; done | sed 's/[0-9]\\+/N/g' | sort"
    with_trex = sshd().log_in("alice", askpass, run=run)
    permit = Sshd(sandbox.pam_service("trex-sshd-permit", *(
        f"{kind} required pam_permit.so" for kind in ("auth", "account", "session"))))  # fmt: skip
    try:
        without = permit.log_in("alice", saying(place, "x"), run=run)
    finally:
        permit.close()
    assert without.returncode == 0
    assert with_trex.stdout == without.stdout


def test_twenty_logins_at_once(
    alice: Account, holder: Holder, sshd: Callable[..., Sshd], place: Path
) -> None:
    """The C++ trex-pam kept state in globals: here each sees its own challenge only."""
    server = sshd(PATIENT)

    def log_in(number: int) -> str:
        directory = place / f"login-{number}"
        directory.mkdir(exist_ok=True)
        (directory / "shown").unlink(missing_ok=True)  # the other door's
        askpass = answering(directory, holder, directory / "shown")
        done = server.log_in("alice", askpass, run=f"echo {number}", seconds=200)
        return done.stdout + done.stderr

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(log_in, range(20))) == [f"{number}\n" for number in range(20)]
    shown = [(place / f"login-{number}/shown").read_text() for number in range(20)]
    assert len({str(holder.decrypt(prompt)) for prompt in shown}) == 20


def test_twenty_signed_logins_at_once(
    alice: Account, holder: Holder, keys: Keys, sshd: Callable[..., Sshd], place: Path
) -> None:
    """They take turns with the agent, which each of them starts and ends."""
    alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    server = sshd(PATIENT)
    askpass = answering(place, holder, place / "shown-signed")

    def log_in(number: int) -> str:
        done = server.log_in("alice", askpass, run=f"echo {number}", seconds=200)
        return done.stdout + done.stderr

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(log_in, range(20))) == [f"{number}\n" for number in range(20)]


def respond(terminal: pexpect.spawn[str], holder: Holder) -> None:
    """Answer at a terminal, as a person does."""
    terminal.expect(r"-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----")
    message = terminal.after.replace("\r\n", "\n")
    terminal.expect("Response: ")
    terminal.sendline(str(holder.decrypt(message)).strip())


ENVIRONMENT = {**os.environ, "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def spawn(command: list[str]) -> pexpect.spawn[str]:
    return pexpect.spawn(command[0], command[1:], encoding="utf-8", timeout=60, env=ENVIRONMENT)


@pytest.fixture
def stack() -> Iterator[Callable[[str], None]]:
    """Put Trex alone into a program's PAM service; the sandbox's /etc is a copy."""
    kept: dict[Path, bytes | None] = {}

    def install(service: str) -> None:
        path = sandbox.PAM_SERVICES / service
        kept[path] = path.read_bytes() if path.exists() else None
        sandbox.trex_service(service)

    yield install
    for path, content in kept.items():
        path.unlink() if content is None else path.write_bytes(content)


def test_su(
    alice: Account, account: Callable[[str], Account], holder: Holder, stack: Callable[[str], None]
) -> None:
    account("bob")
    stack("su")
    terminal = spawn(["setpriv", "--reuid=bob", "--regid=bob", "--init-groups",
                      "su", "alice", "-c", "id -un"])  # fmt: skip
    respond(terminal, holder)
    terminal.expect("alice\r\n")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    terminal = spawn(["setpriv", "--reuid=bob", "--regid=bob", "--init-groups",
                      "su", "alice", "-c", "id -un"])  # fmt: skip
    terminal.expect("Response: ")
    terminal.sendline("wrong")
    terminal.expect_exact(WRONG)
    terminal.expect("Authentication failure")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1


def test_sudo(alice: Account, holder: Holder, stack: Callable[[str], None]) -> None:
    stack("sudo")
    sudoers = Path("/etc/sudoers.d/alice")
    sudoers.write_text("alice ALL=(ALL) ALL\n")
    sudoers.chmod(0o440)
    terminal = spawn(["setpriv", "--reuid=alice", "--regid=alice", "--init-groups",
                      "sudo", "id", "-un"])  # fmt: skip
    try:
        terminal.expect("Response: ")
        terminal.sendline("wrong")
        terminal.expect("Sorry, try again.")  # its own words: it asks for silence (pam_silent)
        assert WRONG not in terminal.before
        respond(terminal, holder)
        terminal.expect("root\r\n")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0
    finally:
        sudoers.unlink()


def test_login(alice: Account, holder: Holder, stack: Callable[[str], None]) -> None:
    stack("login")
    terminal = spawn(["login"])
    # util-linux's login, which Debian 13 has, closes its terminal for a moment and opens it anew:
    # without another who has it open, that looks like the end.
    held = fcntl.ioctl(terminal.child_fd, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
    terminal.expect("login: ")
    os.close(held)
    terminal.sendline("alice")
    terminal.expect("Response: ")
    terminal.sendline("wrong")
    terminal.expect_exact(WRONG)
    terminal.expect("login: ")
    terminal.sendline("alice")
    respond(terminal, holder)
    terminal.expect(r"\$ ")
    terminal.sendline("id -un; exit")
    terminal.expect("alice\r\n")
    terminal.expect(pexpect.EOF)
    terminal.close()
