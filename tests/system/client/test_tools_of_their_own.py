"""docs/tools.md, the tools with an SSH of their own: a person pastes, or looks and says yes."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox, tools

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.support.client import Client
    from tests.support.sandbox import Log
    from tests.support.sshd import Sshd

pytestmark = pytest.mark.usefixtures("server")
MODULE = {"PYTHONPATH": str(sandbox.MODULE)}
PROGRAMS = {
    "paramiko": tools.blocks("paramiko"),
    "Fabric": [
        tools.blocks("paramiko")[0],
        tools.blocks("paramiko")[1].partition("client =")[0],
        *tools.blocks("Fabric"),
    ],
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
def test_a_library_of_python_s_answers_by_itself(
    laptop: Client, program: list[str], log: Log
) -> None:
    done = run(laptop, program)
    assert done.stdout.split() == ["alice"], done.stderr
    assert log.trex("accepted: user=alice")


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_library_of_python_s_answers_no_other_server_s_challenge(
    laptop: Client, server: Sshd, program: list[str], log: Log
) -> None:
    """The program's server passes it on: its host key is not among those in the challenge."""
    sandbox.trex_service("sshd", f"host_keys={other_key(server)}")
    done = run(laptop, program)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "PASSED ON FROM ANOTHER SERVER" in done.stderr
    assert not log.trex("accepted")


def run(laptop: Client, program: list[str]) -> subprocess.CompletedProcess[str]:
    path = laptop.account.write("\n\n".join(program), "program.py")
    return laptop.run("python3", str(path), environment=MODULE)


def other_key(server: Sshd) -> Path:
    """Return the public host key of another server."""
    return server.directory / "client_key.pub"


def test_an_auth_strategy_answers_from_paramiko_3_2_on(laptop: Client, log: Log) -> None:
    """For a server that asks for the challenge alone; `server` accepts that, too."""
    done = run(laptop, tools.blocks("AuthStrategy"))
    if int(version("paramiko").split(".")[0]) < 3:  # Debian 12's
        assert "No module named 'paramiko.auth_strategy'" in done.stderr
        assert not log.trex("accepted")
        return
    assert done.stdout.split() == ["alice"], done.stderr
    assert log.trex("accepted: user=alice")


def test_paramiko_alone_takes_what_is_typed(laptop: Client, log: Log) -> None:
    program = "\n\n".join(PROGRAMS["paramiko"])
    program = re.sub(r", transport_factory=TrexAt\(.*?\)", "", program)
    path = laptop.account.write(program, "program.py")
    terminal = laptop.type("python3", str(path), environment=MODULE)
    paste(laptop, terminal)
    terminal.expect("alice\r\n")
    terminal.expect(pexpect.EOF)
    assert log.trex("accepted: user=alice")


def test_a_program_that_hands_a_prompt_on_gets_the_response(
    laptop: Client, server: Sshd, log: Log
) -> None:
    terminal = laptop.type("bash", "-c", tools.line("Dropbear"))
    terminal.expect_exact("Response: ")
    laptop.account.write(f"{terminal.before}Response: ", "prompt.txt")
    listed = laptop.account.run("ssh-keygen", "-lf", str(server.directory / "host_key.pub"))
    line = tools.line("expect, and everything else").replace(
        "SHA256:...", listed.decode().split()[1]
    )
    done = laptop.run("bash", "-c", line)
    assert done.stdout, done.stderr
    terminal.sendline(done.stdout.strip())
    use_shell(terminal)
    assert log.trex("accepted: user=alice")
