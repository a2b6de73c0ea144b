"""`trex ssh` against a real sshd: it logs in, at that host only."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pexpect

from tests.support.hostile import context, encrypt
from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

EXAMPLE = "AE5C97684A4FFB40907D0A1787DE803A22DA5C30"


def test_a_login_is_one_command(name: str, laptop: Client, log: Log) -> None:
    done = laptop.run("trex", "ssh", name, "id", "-un")
    assert done.stdout == "alice\n", done.stderr
    assert f"answered alice at {name} (sshd)" in done.stderr
    assert log.trex("accepted: user=alice")


def test_the_exit_status_is_ssh_s(name: str, laptop: Client) -> None:
    assert laptop.run("trex", "ssh", name, "exit 42").returncode == 42
    assert laptop.run("trex", "ssh", "-V").stderr.startswith("OpenSSH_")
    assert laptop.run("trex", "ssh", "--", "-V").returncode == 255, "-- is ssh's"


def test_what_is_missing_is_named(laptop: Client) -> None:
    laptop.account.write("#!/bin/sh\ntouch evil\n", "trex-askpass").chmod(0o755)
    started = (
        "import sys; sys.path.insert(0, '/run/trex/module'); sys.argv = ['trex', 'ssh', 'x']\n"
    )
    program = ["/usr/bin/python3", "-BIc", f"{started}from trex.cli.main import main; main()"]
    no_askpass = laptop.run(*program, environment={"PATH": "/usr/bin"})
    assert no_askpass.stderr.startswith("trex: error: trex-askpass is not on PATH\ntrex: hint: ")
    no_ssh = laptop.run(*program, environment={"PATH": "/nowhere"})
    assert no_ssh.stderr.startswith("trex: error: there is no ssh on PATH\ntrex: hint: ")
    assert (no_askpass.returncode, no_ssh.returncode) == (1, 1)
    spoilt = laptop.run("trex-askpass", "(a@b) x", environment={"TREX_SSH": "{"})
    assert (spoilt.returncode, spoilt.stdout) == (1, "")
    assert "not what trex ssh writes" in spoilt.stderr


def test_gpg_agent_does_both_halves(
    alice: Account, laptop: Client, holder: Holder, keys: Keys, sshd: Callable[..., Sshd], log: Log
) -> None:
    """One OpenPGP key: its authentication subkey for publickey, its encryption subkey for Trex."""
    fingerprint = keys["cv25519"]
    add, listing, *rest = documented("One key for both halves")
    laptop.account.run("sh", "-c", add.replace("gpg ", "gpg --batch --passphrase '' ")
                       .replace(EXAMPLE, fingerprint))  # fmt: skip
    listed = laptop.account.run("sh", "-c", listing).decode()
    grip = re.search(r"\[A\]\n +Keygrip = ([0-9A-F]{40})", listed)
    assert grip
    script = "set -e\n" + "\n".join(rest[:-2]).replace("KEYGRIP", grip[1])
    socket = laptop.account.run("sh", "-c", f"{script}\necho $SSH_AUTH_SOCK").decode().strip()
    server = sshd(methods="publickey,keyboard-interactive")
    public = laptop.account.run("sh", "-c", rest[-2].replace(EXAMPLE, fingerprint))
    (server.directory / "authorized_keys").write_bytes(public)
    name = laptop.knows(server)
    (laptop.home / ".ssh/key").unlink()
    config = (laptop.home / ".ssh/config").read_text()
    laptop.account.write(
        "".join(line for line in config.splitlines(keepends=True) if "Identit" not in line),
        ".ssh/config",
    )
    agent = {"SSH_AUTH_SOCK": socket}
    assert laptop.run("trex", "ssh", name, "true").returncode == 255, "no agent, no first half"
    assert not log.trex("accepted")
    done = laptop.run("trex", "ssh", name, "id", "-un", environment=agent)
    assert done.stdout == "alice\n", done.stderr
    assert log.trex("accepted: user=alice")
    assert "Postponed publickey for alice" in server.log.read_text()


def test_a_host_by_another_name_is_confirmed_once(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    name = laptop.knows(sshd(), name="elsewhere")
    alone = laptop.run("trex", "ssh", name, "id -un")
    assert alone.returncode == 255, "nobody is there to confirm it"
    assert "trex ssh once at a terminal" in alone.stderr
    terminal = laptop.type("trex", "ssh", name, "id -un")
    terminal.expect_exact(f"The message is for the host {os.uname().nodename}, but ssh goes to ")
    terminal.expect_exact("(yes/no) ")
    terminal.sendline("no")
    terminal.expect_exact("Permission denied")
    assert "hint" not in terminal.before, "they were at a terminal, and have said no"
    terminal.expect(pexpect.EOF)
    assert not laptop.names.exists()
    terminal = laptop.type("trex", "ssh", name, "id -un")
    terminal.expect_exact("(yes/no) ")
    terminal.sendline("yes")
    terminal.expect_exact("alice\r\n")
    terminal.expect(pexpect.EOF)
    assert laptop.names.stat().st_mode & 0o777 == 0o600
    assert laptop.run("trex", "ssh", name, "id -un").stdout == "alice\n"


def test_an_alias_for_the_host_key_is_a_name_of_the_host(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    alias = [f"HostKeyAlias {os.uname().nodename}", "StrictHostKeyChecking no"]
    name = laptop.knows(sshd(), *alias, name="elsewhere")
    done = laptop.run("trex", "ssh", name, "id -un")
    assert done.stdout == "alice\n", done.stderr


def test_what_the_module_signs_satisfies_a_pin(
    alice: Account, laptop: Client, holder: Holder, keys: Keys, sshd: Callable[..., Sshd]
) -> None:
    signer = keys["signing"]
    alice.import_keys(holder.secret(signer))
    alice.write(f"{keys['cv25519']} trust {signer}\n")
    name = laptop.knows(sshd())
    unknown = laptop.run("trex", "ssh", name, "id -un")
    assert unknown.stdout == "alice\n", unknown.stderr
    laptop.account.import_keys(holder.public(signer))
    proposed = laptop.run("trex", "ssh", name, "id -un")
    assert f"trex pin [127.0.0.1]:{name_port(laptop)} {signer}" in proposed.stderr
    assert laptop.run("trex", "pin", "--yes", name, signer).returncode == 0
    pinned = laptop.run("trex", "ssh", name, "id -un")
    assert pinned.stdout == "alice\n", pinned.stderr
    assert f"signed: by {signer}, pinned for this host" in pinned.stderr
    alice.write(f"{keys['cv25519']} trust nosign\n")
    unsigned = laptop.run("trex", "ssh", name, "id -un")
    assert unsigned.returncode == 255
    assert "NOT SIGNED" in unsigned.stderr


def test_a_jump_host_cannot_have_the_target_s_challenge_answered(
    hostile: Hostile, laptop: Client, holder: Holder, keys: Keys
) -> None:
    """It passes on the challenge that it got from the host behind it."""
    with open("/etc/hosts", "a", encoding="ascii") as hosts:
        hosts.write("127.0.0.1 jump.test target.test\n")
    laptop.knows(hostile.server, name="jump.test")
    config = laptop.home / ".ssh/config"
    config.write_text(config.read_text().replace("HostName 127.0.0.1", "StrictHostKeyChecking no"))
    to = keys["cv25519"]
    for host, heard in (("target.test", ["", ""]), ("jump.test", ["hzA8vx2i2Y", ""])):
        hostile.will_ask(encrypt(holder, to, name=context(host=host)), "Code? ")
        done = laptop.run("trex", "ssh", "-J", "jump.test", "alice@target.test", "true")
        assert done.returncode == 255
        assert hostile.heard() == heard, done.stderr


def documented(heading: str) -> list[str]:
    """Return the commands that the client's page shows under a heading."""
    page = (PROJECT / "docs/client.md").read_text(encoding="utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^    (\S.*)$", section, re.MULTILINE)


def name_port(laptop: Client) -> str:
    config = (laptop.home / ".ssh/config").read_text()
    return next(line.split()[1] for line in config.splitlines() if line.startswith("Port "))
