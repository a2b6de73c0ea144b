"""The page ends with its SSH login, however that ends."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.page import END_SECONDS, Shown, parent, wait_until_gone
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

    WithPage = Callable[..., Account]

GRACE_SECONDS = 12  # in which a prompt and its page come


@pytest.fixture
def sshd(service: Callable[..., str]) -> Iterator[Callable[..., Sshd]]:
    begun = []

    def begin(grace: int = 600) -> Sshd:
        begun.append(Sshd(service(), grace=grace))
        return begun[-1]

    yield begin
    for server in begun:
        server.close()


class Login:
    """An ssh client that shows its prompt on a terminal."""

    def __init__(self, server: Sshd) -> None:
        self.server = server
        command, *arguments = server.command("alice")
        self.terminal = pexpect.spawn(
            command, arguments, encoding="utf-8", timeout=120, dimensions=(60, 200)
        )
        self.terminal.expect("Response: ")
        self.shown = Shown(self.terminal.before.replace("\r\n", "\n"))
        assert self.shown.port in sandbox.listening_ports()
        assert "200 OK" in self.shown.get()

    def close(self) -> None:
        self.terminal.close(force=True)


@pytest.fixture
def login(with_page: WithPage, sshd: Callable[..., Sshd]) -> Iterator[Login]:
    with_page("webQrAuthTls")
    opened = Login(sshd())
    yield opened
    opened.close()


def callers_of_pam(server: Sshd) -> list[int]:
    """Return sshd's processes below the listener: that for the connection, and its children."""
    found = [server.process.pid]
    for pid in sorted(sandbox.processes_here()):
        if parent(pid) in found:
            found.append(pid)
    names = sandbox.processes_here()
    return [pid for pid in found[1:] if "page/process/main.py" not in names.get(pid, "")]


def test_the_right_answer_ends_it(login: Login, holder: Holder) -> None:
    login.terminal.sendline(str(holder.decrypt(login.shown.message)).strip())
    login.terminal.expect_exact("$ ")
    assert wait_until_gone(login.shown.port) < END_SECONDS


def test_a_wrong_answer_ends_it(login: Login) -> None:
    login.terminal.sendline("wrong")
    assert wait_until_gone(login.shown.port) < END_SECONDS


def test_an_ssh_that_is_killed_ends_it(login: Login) -> None:
    login.terminal.kill(signal.SIGKILL)
    assert wait_until_gone(login.shown.port) < END_SECONDS


@pytest.mark.parametrize("which", [0, -1])
def test_an_sshd_process_that_is_killed_ends_it(login: Login, which: int) -> None:
    """The first serves the connection, the last calls PAM."""
    os.kill(callers_of_pam(login.server)[which], signal.SIGKILL)
    assert wait_until_gone(login.shown.port) < END_SECONDS


def test_login_grace_time_ends_it(with_page: WithPage, sshd: Callable[..., Sshd]) -> None:
    with_page("webQrAuthTls")
    begun = time.monotonic()
    login = Login(sshd(grace=GRACE_SECONDS))
    time.sleep(max(0.0, begun + GRACE_SECONDS - time.monotonic()))
    # sshd adds a random part, of up to 4 seconds since 9.8, to its own time limit.
    wait_until_gone(login.shown.port)
    assert time.monotonic() - begun < GRACE_SECONDS + 6 + END_SECONDS
    login.close()


def test_nothing_of_the_page_is_inherited_by_the_session(login: Login, holder: Holder) -> None:
    login.terminal.sendline(str(holder.decrypt(login.shown.message)).strip())
    login.terminal.expect_exact("$ ")
    login.terminal.sendline("ls -l /proc/self/fd; exit")
    login.terminal.expect(pexpect.EOF)
    assert "memfd" not in login.terminal.before
    assert "trex" not in login.terminal.before.replace("/run/trex", "")
