"""one_try: a refusal is final where the program understands PAM_MAXTRIES."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, code, here, text
from tests.support.sshd import saying
from tests.system.login.test_programs import spawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked, Log
    from tests.support.sshd import Sshd

PROMPTS = 3  # ssh's own NumberOfPasswordPrompts


def asked_by_ssh(server: Sshd, user: str, askpass: Path) -> subprocess.CompletedProcess[str]:
    """Log in as ssh does by default: it tries three times."""
    command = [word.replace("Prompts=1", f"Prompts={PROMPTS}") for word in server.command(user)]
    return subprocess.run(
        [*command, "true"], capture_output=True, text=True, check=False, timeout=60,
        stdin=subprocess.DEVNULL, start_new_session=True,
        env={"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


@pytest.mark.usefixtures("door")
def test_sshd_ends_the_connection_after_one_refusal(
    alice: Account, sshd: Callable[..., Sshd], place: Path, log: Log
) -> None:
    server = sshd("one_try")
    done = asked_by_ssh(server, "alice", saying(place, "AAAAAAAAAA"))
    assert done.returncode == 255
    assert "Permission denied" in done.stderr
    assert len(log.trex("wrong response: user=alice")) == 1
    failed = re.findall("Failed keyboard-interactive/pam for alice", server.log.read_text())
    assert len(failed) == 1, "what reads sshd's log for failures, such as fail2ban, still does"


def test_sshd_tells_a_stranger_the_same_of_every_name(
    alice: Account, bob: Account, carol: Account, sshd: Callable[..., Sshd], place: Path, log: Log
) -> None:
    """Enrolled, not enrolled, unknown, and a record that cannot be read."""
    server = sshd("one_try")
    askpass = saying(place, "AAAAAAAAAA")
    carol.write("no record")
    names = ("alice", "bob", "carol", "nobody-here")
    with ThreadPoolExecutor(len(names)) as pool:
        ends = [done.stderr.splitlines()[-1].partition(": ")[2]
                for done in pool.map(lambda name: asked_by_ssh(server, name, askpass), names)]  # fmt: skip
    assert ends == ["Permission denied ()."] * len(names)
    assert len(log.trex(" ms=")) == len(names), "each was asked once"


def test_a_right_response_lets_in_and_no_record_with_nullok_steps_aside(
    alice: Account, bob: Account, log_in: Callable[..., Asked], ask: Callable[..., Asked]
) -> None:
    assert log_in("alice", arguments=("one_try",)).verdict == "PAM_SUCCESS"
    assert ask("bob", arguments=("one_try", "nullok")).verdict == "PAM_PERM_DENIED", "libpam's"


def test_a_limit_that_is_reached_ends_the_connection(
    bob: Account, sshd: Callable[..., Sshd], place: Path, log: Log
) -> None:
    """Whoever waits for another code must not use up the next attempts meanwhile."""
    bob.write(text(f'" RATE_LIMIT 1 3600 {int(time.time())}', '" TOTP_AUTH'), FILE)
    done = asked_by_ssh(sshd("method=totp", "one_try"), "bob", saying(place, code(here())))
    assert done.returncode == 255
    assert "more than 1 attempts in 3600 seconds (RATE_LIMIT)" in log.verdict()


def test_pam_faillock_counts_each_attempt_once(
    bob: Account, client: Path, sshd: Callable[..., Sshd], place: Path
) -> None:
    """The stack of docs/configuration.md: ssh alone asks three times, which locks."""
    page = (sandbox.PROJECT / "docs/configuration.md").read_text(encoding="utf-8")
    part = page.partition("\n### One try\n")[2].partition("\n### ")[0].partition("|\n\n")[2]
    lines = [line.strip().replace("pam_python.so pam_trex.py", sandbox.DOOR)
             for line in part.splitlines() if line.strip().startswith("auth ")]  # fmt: skip
    stack = [f"{line} method=totp" if sandbox.DOOR in line else line for line in lines]
    assert "authsucc" in stack[-1]
    assert sum("maxtries=bad" in line and "one_try" in line for line in stack) == 1
    bob.write(text('" TOTP_AUTH'), FILE)
    service = sandbox.pam_service("trex-one-try-faillock", *stack, *ACCOUNT_LINES)
    server = sshd(service=service)

    def failures() -> int:
        shown = subprocess.run(["faillock", "--user", "bob"], capture_output=True, text=True,
                               check=True).stdout  # fmt: skip
        return len(shown.splitlines()) - 2

    try:
        assert asked_by_ssh(server, "bob", saying(place, "123456")).returncode == 255
        assert failures() == 1
        done = asked_by_ssh(server, "bob", saying(place, code(here() + 1)))
        assert done.returncode == 0, done.stderr
        assert failures() == 0
        asked = [sandbox.ask_pam(client, service, "bob", "--answer", "123456") for _ in range(4)]
        assert [one.verdict for one in asked] == ["PAM_MAXTRIES"] * 3 + ["PAM_AUTH_ERR"]
        assert asked[3].prompt == "", "locked: nothing is asked, and nothing is counted"
        assert failures() == 3
    finally:
        shutil.rmtree("/run/faillock", ignore_errors=True)


def test_where_a_refusal_leads_to_the_next_question_it_still_does(
    alice: Account, client: Path, place: Path
) -> None:
    """The key, or a code: the last line's no is the final one."""
    alice.write(text('" TOTP_AUTH', "12345678"), FILE)
    service = sandbox.pam_service(
        "trex-one-try-either",
        f"auth [success=done ignore=1 default=ignore] {sandbox.DOOR} nullok one_try",
        f"auth required {sandbox.DOOR} method=totp one_try", *ACCOUNT_LINES,
    )  # fmt: skip
    asked = [sandbox.ask_pam(client, service, "alice", "--answer", "12345678") for _ in range(2)]
    assert [one.verdict for one in asked] == ["PAM_SUCCESS", "PAM_MAXTRIES"]


def test_login_ends_after_one_refusal(alice: Account, stack: Callable[..., Path], log: Log) -> None:
    stack("login", "one_try")
    terminal = spawn(["login", "alice"])
    terminal.expect("Response: ")
    terminal.sendline("wrong")
    assert terminal.expect(["login: ", pexpect.EOF]) == 1
    terminal.close()
    assert len(log.trex("wrong response")) == 1
