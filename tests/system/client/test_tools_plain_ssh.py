"""docs/tools.md, plain ssh: each line is run as the page shows it, in a session of `trex setup`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import tools
from tests.support.session import in_session

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd


TEXT = "the report\n"


def test_each_tool_that_runs_ssh_answers(prepared: Client, alice: Account, server: Sshd) -> None:
    prepared.account.write(TEXT, "report.txt")
    prepared.account.run("mkdir", "photos")
    prepared.account.write(TEXT, "photos/one.jpg")
    prepared.account.write("put report.txt by-sftp\n", "commands.txt")
    alice.run("git", "init", "--quiet", "--bare", "project.git")
    for line in tools.blocks("Plain ssh")[1].splitlines():
        done = in_session(prepared, line)
        assert done.returncode == 0, done.stderr
    assert (prepared.home / "project/.git").is_dir()
    for name in ("photos/one.jpg", "report.txt", "by-sftp"):
        assert (alice.home / name).read_text() == TEXT


def test_ansible_needs_its_two_options_and_no_other_program(
    prepared: Client, server: Sshd, log: Log
) -> None:
    lines = tools.blocks("Ansible")[0].splitlines()
    kept = [line for line in lines if not line.startswith("ansible_ssh_executable=")]
    assert len(kept) == len(lines) - 1
    prepared.account.write("\n".join(kept) + "\n", "hosts")
    try:
        done = in_session(prepared, tools.blocks("Ansible")[1], {"ANSIBLE_TIMEOUT": "120"})
        assert '"ping": "pong"' in done.stdout, done.stdout + done.stderr
        assert len(log.trex("accepted: user=alice")) == 1
    finally:
        for socket in (prepared.home / ".ansible/cp").glob("*"):
            exiting = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "server.example.org"]
            prepared.account.run(*exiting)
