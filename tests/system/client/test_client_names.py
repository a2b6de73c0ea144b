"""`trex name`, `trex names` and `trex unname`: names that are confirmed without a login, for fleets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pexpect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.sandbox import Account
    from tests.support.sshd import Sshd

HOST = os.uname().nodename


def test_a_name_that_was_given_is_not_asked_about(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    """By ssh's own configuration: user, alias, address and port."""
    server = sshd()
    name = laptop.knows(server, name="elsewhere")
    assert laptop.run("trex", "ssh", name, "id -un").returncode == 255
    given = laptop.run("trex", "name", "--yes", name, HOST)
    known = f"alice@%5B127.0.0.1%5D:{server.port}"
    assert (given.returncode, given.stdout) == (0, "")
    listed = laptop.run("trex", "names").stdout
    assert listed.split() == laptop.names.read_text().split()
    assert listed.split()[1] == f"alice@{HOST}"
    assert laptop.run("trex", "ssh", name, "id -un").stdout == "alice\n", known
    again = laptop.run("trex", "name", "--yes", f"alice@{name}", f"alice@{HOST}")
    assert "already" in again.stderr
    assert laptop.run("trex", "names").stdout == listed
    ours = listed.split()[0]
    assert laptop.run("trex", "unname", ours, "alice@other").returncode == 1
    assert laptop.run("trex", "unname", ours).returncode == 0
    assert "No name was confirmed" in laptop.run("trex", "names").stderr
    assert laptop.run("trex", "ssh", name, "id -un").returncode == 255


def test_a_name_is_confirmed_at_a_terminal_or_with_yes(laptop: Client) -> None:
    alone = laptop.run("trex", "name", "alice@web.example.org", "web")
    assert (alone.returncode, laptop.names.exists()) == (1, False)
    assert "trex name --yes HOST NAME" in alone.stderr
    for said, code in (("n", 130), ("y", 0)):
        terminal = laptop.type("trex", "name", "alice@web.example.org", "web")
        terminal.expect_exact(
            "alice@web will be answered while ssh logs in as alice@web.example.org"
        )
        terminal.expect_exact("Are they the same? [y/N]: ")
        terminal.sendline(said)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == code
    assert laptop.names.read_text() == "alice@web.example.org alice@web\n"


def test_what_is_no_name_is_refused_and_nothing_is_written(laptop: Client) -> None:
    for host, name in (("web", "a b"), ("web", "-x"), ("-oProxyCommand=x", "web"), ("a@", "web")):
        done = laptop.run("trex", "name", "--yes", "--", host, name)
        assert done.returncode == 1, (host, name)
        assert "trex: error: " in done.stderr
    assert not laptop.names.exists()


def test_only_the_named_lines_are_removed(laptop: Client) -> None:
    laptop.confirm_names("# by hand", "alice@a alice@x", "alice@a alice@y", "alice@b alice@x")
    done = laptop.run("trex", "unname", "alice@a", "alice@x")
    assert done.stderr == "alice@a is no longer known as alice@x.\n"
    assert laptop.names.read_text() == "# by hand\nalice@a alice@y\nalice@b alice@x\n"
