"""docs/tools.md, the tools with an SSH of their own: a person pastes, or looks and says yes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import tools

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.sandbox import Log

pytestmark = pytest.mark.usefixtures("server")
PROGRAMS = {
    "paramiko": tools.blocks("paramiko"),
    "Fabric": [tools.blocks("paramiko")[0], *tools.blocks("Fabric")],
    "asyncssh": tools.blocks("asyncssh"),
}


def paste(laptop: Client, terminal: pexpect.spawn[str], end: str = "Response: ") -> None:
    """Paste the prompt into `trex respond`, and its output back."""
    terminal.expect_exact(end)
    done = laptop.run("trex", "respond", stdin=f"{terminal.before}{end}".encode())
    assert f"host     {os.uname().nodename}\n" in done.stderr
    terminal.sendline(done.stdout.strip())


def use_shell(terminal: pexpect.spawn[str]) -> None:
    terminal.expect(r"\$ ")
    terminal.sendline("id -un; exit")
    terminal.expect("alice\r\n")
    terminal.expect(pexpect.EOF)


def test_putty(laptop: Client, log: Log) -> None:
    terminal = laptop.type("bash", "-c", tools.line("PuTTY"))
    terminal.expect_exact("Store key in cache?")
    terminal.sendline("y")
    paste(laptop, terminal)
    terminal.expect_exact("Press Return to begin session")
    terminal.sendline("")
    use_shell(terminal)
    assert log.trex("accepted: user=alice")


def test_dropbear(laptop: Client, log: Log) -> None:
    terminal = laptop.type("bash", "-c", tools.line("Dropbear"))
    paste(laptop, terminal)
    use_shell(terminal)
    assert log.trex("accepted: user=alice")


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_library_of_python_s(laptop: Client, program: list[str], log: Log) -> None:
    path = laptop.account.write("\n\n".join(program), "program.py")
    terminal = laptop.type("python3", str(path))
    terminal.expect_exact("(yes/no) ")
    assert f"host     {os.uname().nodename}\r\n" in terminal.before
    assert not log.trex("accepted"), "it waits"
    terminal.sendline("yes")
    terminal.expect("alice\r\n")
    terminal.expect(pexpect.EOF)
    assert log.trex("accepted: user=alice")


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_nothing_is_answered_if_the_user_says_no(
    laptop: Client, program: list[str], log: Log
) -> None:
    path = laptop.account.write("\n\n".join(program), "program.py")
    terminal = laptop.type("python3", str(path))
    terminal.expect_exact("(yes/no) ")
    terminal.sendline("no")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert not log.trex("accepted")


def test_paramiko_alone_takes_what_is_typed(laptop: Client, log: Log) -> None:
    program = "\n\n".join(PROGRAMS["paramiko"]).replace(", transport_factory=Trex", "")
    path = laptop.account.write(program, "program.py")
    terminal = laptop.type("python3", str(path))
    paste(laptop, terminal)
    terminal.expect("alice\r\n")
    terminal.expect(pexpect.EOF)
    assert log.trex("accepted: user=alice")
