"""Which ssh `trex ssh` becomes, which one asks, and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.client import BIN
from tests.support.hostile import encrypt

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.keys import Holder

OURS = {
    "a link to trex-ssh": None,
    "a script that becomes trex ssh": '#!/bin/sh\nexec trex ssh "$@"\n',
    "a script that becomes trex-ssh": '#!/bin/sh\nexec trex-ssh "$@"\n',
}


@pytest.fixture
def first(laptop: Client) -> Path:
    """A directory of the user's that is first on PATH."""
    directory = laptop.home / "bin"
    directory.mkdir()
    laptop.account.own(directory, 0o755)
    laptop.environment["PATH"] = f"{directory}:{laptop.environment['PATH']}"
    return directory


def write_ssh(laptop: Client, script: str) -> None:
    laptop.account.write(script, "bin/ssh").chmod(0o755)


@pytest.mark.parametrize("script", OURS.values(), ids=OURS)
def test_trex_that_is_called_ssh_becomes_the_ssh_behind_it(
    name: str, laptop: Client, first: Path, script: str | None
) -> None:
    if script:
        write_ssh(laptop, script)
    else:
        (first / "ssh").symlink_to(BIN / "trex-ssh")
    for command in (["ssh"], ["trex-ssh"], ["trex", "ssh"]):
        done = laptop.run(*command, name, "id", "-un")
        assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr
        assert done.stderr.count("trex: answered") == 1


def test_where_there_is_no_other_ssh_it_says_so(laptop: Client, first: Path) -> None:
    (first / "ssh").symlink_to(BIN / "trex-ssh")
    empty = {"PATH": str(first)}
    done = laptop.run("/usr/bin/python3", str(BIN / "trex-ssh"), "x", environment=empty)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no ssh on PATH" in done.stderr


def test_a_script_in_the_place_of_ssh_is_not_asked_which_ssh_it_becomes(
    name: str, laptop: Client, first: Path
) -> None:
    write_ssh(
        laptop, '#!/bin/sh\n[ "$1" = -V ] && echo OpenSSH_7.0 >&2 && exit\nexec /usr/bin/ssh "$@"\n'
    )
    assert laptop.run("trex", "ssh", name, "id", "-un").stdout == "alice\n"


def test_the_program_that_asks_must_be_the_ssh_that_says_who_asks(
    laptop: Client, holder: Holder, to: str, first: Path
) -> None:
    """The `ssh` on PATH claims to be a new one, and becomes another program."""
    laptop.account.write(f"(alice@web) {encrypt(holder, to)}", "prompt")
    asking = "import os, subprocess as s; s.run([os.environ['SSH_ASKPASS'], open('prompt').read()])"
    write_ssh(laptop, '#!/bin/sh\n[ "$1" = -V ] && echo OpenSSH_9.9p1 >&2 && exit\n'
                      f'exec /usr/bin/python3 -c "{asking}"\n')  # fmt: skip
    done = laptop.run("trex", "ssh", "web")
    assert done.stdout == ""
    assert "what asks is not OpenSSH" in done.stderr


def test_a_quiet_ssh_is_quiet(name: str, laptop: Client) -> None:
    done = laptop.run("trex", "ssh", "-q", name, "id", "-un")
    assert (done.stdout, done.stderr) == ("alice\n", "")
    done = laptop.run("trex", "ssh", "-oLogLevel=QUIET", name, "id", "-un")
    assert (done.stdout, done.stderr) == ("alice\n", "")


def test_a_prompt_that_nobody_can_be_asked_is_named(laptop: Client) -> None:
    done = laptop.run("trex-askpass", f"Username for 'https://example.org': \x1b[2J{'x' * 500}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "trex: error: there is no terminal to ask at: Username for 'https" in done.stderr
    assert "\x1b" not in done.stderr
    assert len(done.stderr) < 400


def test_a_notice_that_needs_no_answer_is_shown(laptop: Client) -> None:
    said = "Confirm user presence for key ED25519-SK SHA256:x"
    done = laptop.run("trex-askpass", said, environment={"SSH_ASKPASS_PROMPT": "none"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"trex: {said}\n")
