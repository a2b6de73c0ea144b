"""Codes are rolled out to users who have none: stacks and commands as docs/totp.md has them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, code, here, text
from tests.support.command import wait_until_it_reads
from tests.support.installation import install
from tests.support.page_text import blocks, typed
from tests.support.sandbox import PAM_SERVICES
from tests.support.sshd import Sshd, answering, saying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

PAGE, PART = "docs/totp.md", "## Rolling codes out"
PASSWORD, KEY_OR_CODE, SSH_KEY, SCRIPT, LOOK, END = blocks(PAGE, PART)
SSH_KEY_FIRST = "publickey,keyboard-interactive:pam"
METHODS = {PASSWORD: "keyboard-interactive:pam", SSH_KEY: SSH_KEY_FIRST, KEY_OR_CODE: SSH_KEY_FIRST}
CORRECT = "correct horse"


@pytest.fixture
def desk(usr: None, no_service: None, bob: Account, tmp_path: Path) -> Iterator[Path]:
    """Trex is installed; bob has a password, and no secret."""
    done = install()
    assert done.returncode == 0, done.stderr
    subprocess.run(["chpasswd"], input=f"bob:{CORRECT}", text=True, check=True)
    kept = (PAM_SERVICES / "sshd").read_bytes()
    yield tmp_path
    (PAM_SERVICES / "sshd").write_bytes(kept)
    Path("/etc/profile.d/trex-totp.sh").unlink(missing_ok=True)


@pytest.fixture
def door_with(sshd: Callable[..., Sshd]) -> Callable[[str], Sshd]:
    """Start sshd with a stack in the place of common-auth."""

    def start(stack: str) -> Sshd:
        name = f"trex-page-{len(list(PAM_SERVICES.glob('trex-page-*')))}"
        sandbox.pam_service(name, *stack.splitlines(), *ACCOUNT_LINES)
        return sshd(service=name, methods=METHODS.get(stack, SSH_KEY_FIRST))

    return start


def gets_in(server: Sshd, askpass: Path, user: str = "bob") -> bool:
    done = server.log_in(user, askpass, methods="publickey,keyboard-interactive")
    assert done.stdout in ("", f"logged in as {user}\n"), done.stderr
    return bool(done.stdout)


def by_turns(place: Path, otp: str) -> Path:
    """Answer a question for a code with `otp`, one for a response with nothing, else the password."""
    path = place / "askpass-by-turns"
    path.write_text(
        f'#!/bin/sh\ncase "$1" in *ode*) echo "{otp}";; *esponse*) echo;; *) echo "{CORRECT}";; esac\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("stack", [PASSWORD, KEY_OR_CODE, SSH_KEY], ids=["password", "key", "ssh"])
def test_whoever_has_no_secret_gets_in_and_whoever_has_one_needs_its_code(
    desk: Path, bob: Account, door_with: Callable[[str], Sshd], stack: str, place: Path
) -> None:
    server = door_with(stack)
    assert gets_in(server, by_turns(place, "000000"))
    bob.write(text('" TOTP_AUTH', '" WINDOW_SIZE 9'), FILE)
    assert not gets_in(server, by_turns(place, "000000"))
    assert gets_in(server, by_turns(place, code(here())))


@pytest.mark.parametrize("stack", [PASSWORD, KEY_OR_CODE], ids=["password", "key"])
def test_whoever_has_no_secret_needs_the_password(
    desk: Path, door_with: Callable[[str], Sshd], stack: str, place: Path
) -> None:
    assert not gets_in(door_with(stack), saying(place, "wrong"))


def test_whoever_has_a_key_but_no_secret_has_no_password(
    desk: Path, alice: Account, holder: Holder, door_with: Callable[[str], Sshd], place: Path
) -> None:
    subprocess.run(["chpasswd"], input=f"alice:{CORRECT}", text=True, check=True)
    server = door_with(KEY_OR_CODE)
    assert not gets_in(server, by_turns(place, "000000"), "alice")
    assert gets_in(server, answering(place, holder, place / "shown"), "alice")


def test_a_line_with_nullok_that_stands_alone_locks_out_as_the_page_says(
    desk: Path, door_with: Callable[[str], Sshd], place: Path
) -> None:
    assert not gets_in(door_with(SSH_KEY.splitlines()[0]), by_turns(place, "000000"))


def finished(stack: str) -> str:
    """Return what the page has in the end, when everybody is set up."""
    if stack == KEY_OR_CODE:
        return blocks(PAGE, "## Stacks")[0]
    lines = stack.replace(" nullok", "").splitlines()
    return "\n".join(lines[:1] if stack == SSH_KEY else lines)


@pytest.mark.parametrize("stack", [PASSWORD, KEY_OR_CODE, SSH_KEY], ids=["password", "key", "ssh"])
def test_in_the_end_a_code_is_needed_and_nothing_else_does(
    desk: Path, bob: Account, door_with: Callable[[str], Sshd], stack: str, place: Path
) -> None:
    server = door_with(finished(stack))
    assert not gets_in(server, by_turns(place, "000000"))
    bob.write(text('" TOTP_AUTH', '" WINDOW_SIZE 9'), FILE)
    assert gets_in(server, by_turns(place, code(here())))


def test_the_script_sets_a_user_up_at_a_login_and_may_be_put_off(
    desk: Path, bob: Account, door_with: Callable[[str], Sshd], place: Path
) -> None:
    typed(SCRIPT, desk)
    server = door_with(SSH_KEY)
    (PAM_SERVICES / "sshd").write_text(SSH_KEY + "".join(f"{one}\n" for one in ACCOUNT_LINES))
    said = typed(LOOK, desk, 1, 2)
    assert "bob" in named(said)
    assert "nullok, and a user without a record is asked nothing else" in said
    put_off = session(server)
    put_off.expect("the phone shows now: ")
    wait_until_it_reads("totp enroll")
    put_off.sendintr()
    put_off.expect(r"\$ ")
    leave(put_off)
    assert not (bob.home / FILE).exists()
    first = session(server)
    first.expect("Without a camera, type: ([A-Z2-7 ]+)\r\n")
    secret, now = first.match.group(1).replace(" ", ""), here()
    first.expect("the phone shows now: ")
    first.sendline(code(now, secret))
    first.expect("Emergency codes")
    leave(first)
    assert "bob" not in named(typed(LOOK, desk, 1, 2))
    assert gets_in(server, by_turns(place, code(now + 1, secret)))
    typed(END, desk)
    assert not Path("/etc/profile.d/trex-totp.sh").exists()


def session(server: Sshd) -> pexpect.spawn:
    command = server.command("bob", "-tt", methods="publickey,keyboard-interactive")
    return pexpect.spawn(command[0], command[1:], encoding="utf-8", timeout=60,
                         dimensions=(60, 200))  # fmt: skip


def leave(terminal: pexpect.spawn) -> None:
    terminal.sendline("exit")
    terminal.expect(pexpect.EOF)
    terminal.close()


def named(said: str) -> set[str]:
    """Return the users whose secret is missing."""
    return set(re.findall(r"(\w+): \S*/\.google_authenticator: no such file", said))
