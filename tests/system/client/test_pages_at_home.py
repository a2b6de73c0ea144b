"""README.md and docs/client.md for whoever logs in: their blocks, typed over real ssh."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.command import finish
from tests.support.page_text import blocks

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.support.sandbox import Log
    from tests.support.sshd import Sshd

PAGE = "docs/client.md"
SHELL = r"\$ $"


def dialogue(block: str) -> tuple[list[str], list[str]]:
    """Return what is typed in a block, and what is answered."""
    lines = block.splitlines()
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return typed, [line for line in lines if not line.startswith("$ ")]


def in_a_shell(laptop: Client, line: str) -> str:
    """Type a line that opens a shell on the server, and one there; return what was shown."""
    terminal = laptop.type("bash", "-c", line)
    terminal.expect(SHELL)
    shown = str(terminal.before)
    terminal.sendline("id -un; exit")
    assert finish(terminal) == 0
    assert "alice\r\n" in terminal.before
    return shown


def test_the_readme_logs_in(server: Sshd, laptop: Client, log: Log) -> None:
    line, setup, *_ = blocks("README.md", "## Log in")[0].splitlines()
    in_a_shell(laptop, re.split("  +", line)[0])
    assert log.trex("accepted: user=alice")
    done = laptop.run("sh", "-c", f"{re.split('  +', setup)[0]} --yes")
    assert done.returncode == 0, done.stderr


def test_the_client_says_what_its_page_shows(server: Sshd, laptop: Client) -> None:
    (line,), told = dialogue(blocks(PAGE, "## trex ssh")[0])
    shown = in_a_shell(laptop, line)
    for words in ("trex: answered alice at ", "trex: host key: "):
        assert any(one.startswith(words) for one in told)
        assert words in shown


def test_the_host_s_fingerprint_is_what_the_message_names(server: Sshd, laptop: Client) -> None:
    (line,) = [one for one in blocks(PAGE, "## Answering with gpg alone") if "ssh-keygen" in one]
    done = laptop.run("sh", "-c", line)
    assert done.returncode == 0, done.stderr
    assert "SHA256:" in done.stdout


def test_a_name_of_a_fleet_is_remembered(laptop: Client) -> None:
    (line,), told = dialogue(blocks(PAGE, "### Names of a fleet")[0])
    done = laptop.run("sh", "-c", line)
    assert done.stderr.splitlines() == told


def test_a_pin_is_set_after_its_question(laptop: Client, holder: Holder) -> None:
    (imported, pinned), told = dialogue(blocks(PAGE, "## Pins")[0])
    made = holder.make("trex@server.example.org", "signing", name="server.example.org")
    laptop.account.write(holder.public(made), "server.asc")
    assert laptop.run("sh", "-c", imported).returncode == 0
    terminal = laptop.type("sh", "-c", pinned)
    terminal.expect_exact(told[-1].rstrip())
    shown = terminal.before
    terminal.sendline("y")
    assert finish(terminal) == 0, terminal.before
    assert f"key      {made}" in shown
    assert told[-2] in shown, told
    assert made in laptop.pins.read_text()


def test_the_one_file_brings_its_manual_and_completion(laptop: Client) -> None:
    _, block = blocks("docs/installing.md", "## One file")
    done = laptop.run("sh", "-e", "-c", block)
    assert done.returncode == 0, done.stderr
    assert (laptop.home / ".local/share/man/man1/trex.1").exists()
    completion = laptop.home / ".local/share/bash-completion/completions/trex"
    assert "complete" in completion.read_text()
