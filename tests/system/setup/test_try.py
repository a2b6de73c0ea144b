"""`trex try`: a login with the real stack in this terminal, without a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import finish, on_terminal, trex

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log


@pytest.fixture
def tried(place: Path) -> str:
    """A service whose session would leave a mark."""
    return sandbox.pam_service(
        "trex-tried",
        f"auth required pam_python.so {sandbox.ENTRY}",
        "account required pam_permit.so",
        f"session required pam_exec.so /usr/bin/touch {place}/session",
    )


@pytest.mark.parametrize("right", [True, False])
def test_the_verdict_is_the_exit_status(
    alice: Account, tried: str, holder: Holder, log: Log, place: Path, *, right: bool
) -> None:
    terminal = on_terminal("try", "alice", "--service", tried)
    terminal.expect("Response: ")
    assert "Trex: to log in as alice" in terminal.before
    message = terminal.before.replace("\r\n", "\n")
    terminal.sendline(str(holder.decrypt(message)).strip() if right else "ABCDEFGHIJ")
    assert finish(terminal) == (0 if right else 1)
    assert ("accepted" if right else "refused") in terminal.before
    assert ("accepted: user=alice" if right else "wrong response: user=alice") in log.verdict()
    assert not (place / "session").exists()


def test_the_account_part_counts_too(alice: Account, holder: Holder) -> None:
    name = sandbox.pam_service("trex-tried", "auth required pam_permit.so",
                               "account required pam_deny.so")  # fmt: skip
    assert trex("try", "alice", "--service", name).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nobody-there"], "there is no such account"),
        (["alice", "--service", "../../etc/passwd"], "expected a PAM service"),
        (["alice", "--service=-v"], "expected a PAM service"),
        (["--", "-v"], "there is no such account"),
    ],
)
def test_what_is_not_asked(alice: Account, arguments: list[str], reason: str) -> None:
    done = trex("try", *arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "trex: hint: " in done.stderr
    assert trex("try", "alice", account=alice).returncode == 1
