"""~/.ssh/config with Include and `Match exec`: read by ssh itself, and run once more for each login."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.client import BIN
from tests.support.session import in_session, set_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.sandbox import Account
    from tests.support.sshd import Sshd

COMPARED = "host key: that of this connection"


@pytest.fixture
def server(alice: Account, sshd: Callable[..., Sshd]) -> Sshd:
    """A server whose challenges name its host key."""
    one = sshd()
    sandbox.trex_service("sshd", f"host_keys={one.directory}/host_key.pub")
    return one


@pytest.fixture
def inner(laptop: Client, server: Sshd) -> str:
    """A host that only what is included says how to reach, as long as a command says so.

    Both the command and the user's KnownHostsCommand leave a line each time.
    """
    laptop.knows(server, name="gate")
    block = (laptop.home / ".ssh/config").read_text().partition("\n")[2]
    (laptop.home / ".ssh/conf.d").mkdir()
    laptop.account.own(laptop.home / ".ssh/conf.d", 0o700)
    script = laptop.account.write(
        f"#!/bin/sh\necho $1 ${{TREX_SSH_ASKED:+asked}} >>{laptop.home}/ran\n", "note"
    )
    script.chmod(0o755)
    match = f'Match originalhost inner exec "{script} match"\n{block}'
    laptop.account.write(f"{match}KnownHostsCommand {script} %H\n", ".ssh/conf.d/inner")
    laptop.account.write("Include conf.d/*\nHost *\n    User nobody\n", ".ssh/config")
    return "inner"


def test_what_must_not_run_twice_can_tell_the_other_time(laptop: Client, inner: str) -> None:
    assert laptop.run("trex", "ssh", inner, "id -un").stdout == "alice\n"
    assert sorted(line for line in said(laptop) if "match" in line) == ["match", "match asked"]


def said(laptop: Client) -> list[str]:
    path = laptop.home / "ran"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def runs(laptop: Client, what: str = "match") -> int:
    """Return how often it has run since the last time."""
    return len([line for line in said(laptop) if what in line])


def test_trex_ssh_runs_a_match_exec_once_more_than_ssh(laptop: Client, inner: str) -> None:
    """Before ssh runs, to learn the KnownHostsCommand and the names; for the challenge not again."""
    laptop.run("ssh", "-o", "BatchMode=yes", inner, "true")
    assert runs(laptop) == 1
    done = laptop.run("trex", "ssh", inner, "id -un")
    assert done.stdout == "alice\n", done.stderr
    assert COMPARED in done.stderr
    assert runs(laptop) == 2


def test_a_known_hosts_command_that_is_included_runs_as_often_as_for_ssh(
    laptop: Client, inner: str
) -> None:
    laptop.run("ssh", "-o", "BatchMode=yes", inner, "true")
    once = runs(laptop, "127.0.0.1")
    assert once > 0
    assert laptop.run("trex", "ssh", inner, "id -un").stdout == "alice\n"
    assert runs(laptop, "127.0.0.1") == once


def test_plain_ssh_runs_it_once_more_for_a_challenge_and_not_without_one(
    laptop: Client, inner: str
) -> None:
    included = laptop.home / ".ssh/conf.d/inner"
    lines = included.read_text().splitlines(keepends=True)
    included.write_text("".join(line for line in lines if "KnownHostsCommand" not in line))
    assert set_up(laptop).returncode == 0
    assert runs(laptop) == 0, "it is for one host"
    done = in_session(laptop, f"ssh {inner} id -un")
    assert done.stdout == "alice\n", done.stderr
    assert COMPARED in done.stderr
    assert runs(laptop) == 2
    in_session(laptop, f"ssh -o PreferredAuthentications=none {inner} true")
    assert runs(laptop) == 1


def test_copy_id_runs_it_three_times(laptop: Client, inner: str) -> None:
    """For the user's name there, and twice for `trex ssh`."""
    words = ("--yes", "--trex", f"{BIN}/trex", inner)
    done = laptop.run("trex", "copy-id", *words)
    assert done.returncode == 0, done.stderr
    assert runs(laptop) == 3


@pytest.mark.parametrize("line", ["setup --yes", "setup --check", "name --yes inner web7"])
def test_what_else_asks_ssh_runs_it_once(laptop: Client, inner: str, line: str) -> None:
    """Here it is for every host."""
    config = laptop.home / ".ssh/config"
    config.write_text(f'Match exec "{laptop.home}/note every"\n{config.read_text()}')
    laptop.run("trex", *line.split())
    assert runs(laptop, "every") == 1
