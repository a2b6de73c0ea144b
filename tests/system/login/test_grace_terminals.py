"""grace_period= with su and sudo: for one user, at one terminal, in one session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.grace import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

pytestmark = [pytest.mark.usefixtures("no_grace_left"), pytest.mark.usefixtures("door")]
MESSAGE = r"-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----"
SUDOERS = "Defaults targetpw, !lecture, timestamp_timeout=0{more}\nALL ALL=(ALL) ALL\n"
RULE = Path("/etc/sudoers.d/everybody")
SU, SUDO = "su alice -c 'id -un'", "sudo -u alice id -un"


class Shell:
    """Root's shell at a terminal of its own, which is a session of its own."""

    def __init__(self, holder: Holder) -> None:
        environment = {**os.environ, "TERM": "dumb", "LC_ALL": "C.UTF-8", "PS1": ""}
        arguments = ["--norc", "--noprofile"]
        self.terminal = pexpect.spawn(
            "/bin/bash", arguments, encoding="utf-8", timeout=60, env=environment, echo=False
        )
        self.holder = holder

    def asks(self, user: str, command: str) -> bool:
        """Have a user become alice by su or sudo; tell whether Trex asked."""
        before = f"setpriv --reuid={user} --regid={user} --init-groups"
        self.terminal.sendline(f"{before} {command}")
        found = self.terminal.expect([MESSAGE, r"(?m)^alice\r"])
        if found == 0:
            message = str(self.terminal.after).replace("\r\n", "\n")
            self.terminal.expect("Response: ")
            self.terminal.sendline(str(self.holder.decrypt(message)).strip())
            self.terminal.expect(r"(?m)^alice\r")
        return bool(found == 0)

    def close(self) -> None:
        self.terminal.sendline("exit")
        self.terminal.expect(pexpect.EOF)
        self.terminal.close()


@pytest.fixture
def shell(holder: Holder) -> Iterator[Callable[[], Shell]]:
    shells: list[Shell] = []

    def begin() -> Shell:
        shells.append(Shell(holder))
        return shells[-1]

    yield begin
    for one in shells:
        one.close()


@pytest.fixture
def everybody_may() -> Iterator[Callable[[str], None]]:
    def write(more: str = "") -> None:
        RULE.write_text(SUDOERS.format(more=more))
        RULE.chmod(0o440)

    yield write
    RULE.unlink(missing_ok=True)


@pytest.mark.parametrize(("program", "command"), [("su", SU), ("sudo", SUDO)])
def test_the_same_user_at_the_same_terminal_is_asked_once(
    alice: Account, bob: Account, carol: Account, shell: Callable[[], Shell],
    stack: Callable[..., Path], everybody_may: Callable[[], None], program: str, command: str,
) -> None:  # fmt: skip
    """Nobody else, though they sit in the same session, and not at the user's other terminal."""
    stack(program, DAY)
    everybody_may()
    here = shell()
    assert here.asks("bob", command)
    assert not here.asks("bob", command)
    assert here.asks("carol", command)
    assert shell().asks("bob", command)
    assert not here.asks("bob", command)
