"""`trex try`: a login with the real stack in this terminal, without a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import finish, on_terminal, options_of, trex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.mark.parametrize("program", ["sudo", "su"])
@pytest.mark.parametrize("right", [True, False])
def test_users_prove_a_record_of_central_mode_that_they_cannot_read(
    bob: Account, handed_in: Path, central: list[str], holder: Holder, log: Log, program: str,
    stack: Callable[..., Path], native_door: Path, sudoer: None, monkeypatch: pytest.MonkeyPatch,
    *, right: bool,
) -> None:  # fmt: skip
    enroll = ["enroll", "--central", *options_of(central), "--user", "bob", "--key", str(handed_in)]
    assert trex(*enroll, "--yes").returncode == 0
    monkeypatch.setattr(sandbox, "DOOR", str(native_door))
    stack(program, *central)
    terminal = on_terminal("try", "--service", program, account=bob)
    terminal.expect("Response: ")
    message = terminal.before.replace("\r\n", "\n")
    terminal.sendline(str(holder.decrypt(message)).strip() if right else "ABCDEFGHIJ")
    if not right and program == "sudo":
        for _ in range(2):
            terminal.expect("Response: ")
            terminal.sendline("ABCDEFGHIJ")
    assert finish(terminal) == (0 if right else 1)
    assert f"trex: {'accepted' if right else 'refused'}" in terminal.before
    assert log.trex(f"{'accepted' if right else 'wrong response'}: user=bob service={program}")


@pytest.fixture
def sudoer() -> Iterator[None]:
    rule = Path("/etc/sudoers.d/bob")
    rule.write_text("bob ALL=(ALL) ALL\n")
    rule.chmod(0o440)
    yield
    rule.unlink()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["bob"], "only root can try another user's login"),
        (["alice"], "only root can ask PAM as sshd does"),
        (["--service", "login"], "trex: hint: trex try --service sudo, or su; or log in once more"),
    ],
)
def test_what_a_user_cannot_try(
    alice: Account, bob: Account, arguments: list[str], reason: str
) -> None:
    done = trex("try", *arguments, account=alice)
    assert done.returncode == 1
    assert reason in done.stderr


def test_root_says_whose_login(alice: Account) -> None:
    assert trex("try").returncode == 2
