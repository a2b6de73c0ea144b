"""Logins whose gpg is confined: what is denied it refuses the login, and the log says so."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from trex.system import landlock, seccomp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.sandbox import Account, Asked, Log

# getpid(2), as a 32-bit program calls it.
OF_ANOTHER_MACHINE = """\
int main(void)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
    return result < 0;
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the other calls are those of i386")
@pytest.mark.skipif(not seccomp.is_available(), reason="this kernel has no filters")
def test_a_call_that_is_denied_refuses_the_login(
    alice: Account, ask: Callable[..., Asked], log: Log, place: Path
) -> None:
    source, program = place / "of-another.c", place / "of-another-machine"
    source.write_text(OF_ANOTHER_MACHINE)
    subprocess.run(["gcc", "-o", program, source], check=True)
    asked = ask("alice", arguments=(f"gpg={program}", "nullok"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    assert "gpg made a system call that is denied to it, and was ended" in log.verdict()


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
def test_a_keyring_behind_a_link_lets_its_owner_in(
    alice: Account, log_in: Callable[..., Asked]
) -> None:
    """Landlock knows files and not paths: what a link leads to is named too."""
    away = alice.home / "away"
    away.mkdir()
    (alice.gnupg / "pubring.kbx").rename(away / "pubring.kbx")
    (alice.gnupg / "pubring.kbx").symlink_to(away / "pubring.kbx")
    alice.own(away, 0o700)
    assert log_in("alice").verdict == "PAM_SUCCESS"
