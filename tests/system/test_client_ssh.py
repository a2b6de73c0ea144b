"""`trex ssh` against a real sshd: it logs in, and passes on what is not Trex's."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests import sandbox
from tests.client import PASSPHRASE
from tests.hostile import Hostile, context, encrypt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client import Client
    from tests.keys import Holder
    from tests.sandbox import Account, Log
    from tests.sshd import Sshd
    from tests.system.conftest import Keys


@pytest.fixture
def name(alice: Account, laptop: Client, sshd: Callable[..., Sshd]) -> str:
    """Return what to give to ssh for a server that alice can log in to."""
    return laptop.knows(sshd())


@pytest.fixture
def hostile(account: Callable[[str], Account], sshd: Callable[..., Sshd]) -> Hostile:
    account("alice")
    return Hostile(sshd)


def test_a_login_is_one_command(name: str, laptop: Client, log: Log) -> None:
    done = laptop.run("trex", "ssh", name, "id", "-un")
    assert done.stdout == "alice\n", done.stderr
    assert f"answered alice at {name} (trex-sshd-" in done.stderr
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


def test_the_programs_that_use_ssh(name: str, laptop: Client, alice: Account) -> None:
    source = laptop.account.write("content", "file")
    through = {"GIT_SSH_COMMAND": "trex ssh"}
    alice.run("git", "init", "--quiet", "--bare", "project.git")
    cloned = laptop.run("git", "clone", f"{name}:project.git", environment=through)
    assert cloned.returncode == 0, cloned.stderr
    for command in (
        ["rsync", "-e", "trex ssh", str(source), f"{name}:by-rsync"],
        ["scp", "-S", "trex-ssh", str(source), f"{name}:by-scp"],
        ["sftp", "-S", "trex-ssh", "-oBatchMode=no", "-b", "-", name],
    ):
        done = laptop.run(*command, stdin=b"put file by-sftp\n")
        assert done.returncode == 0, done.stderr
    assert {(alice.home / f"by-{way}").read_text() for way in ("rsync", "scp", "sftp")} == {
        "content"
    }


def test_gpg_agent_does_both_halves(
    alice: Account, laptop: Client, holder: Holder, keys: Keys, sshd: Callable[..., Sshd], log: Log
) -> None:
    """One OpenPGP key: its authentication subkey for publickey, its encryption subkey for Trex."""
    fingerprint = keys["cv25519"]
    edit = ["--batch", "--passphrase", "", "--quick-add-key", fingerprint, "ed25519", "auth"]
    laptop.account.run("gpg", *edit)
    listed = laptop.account.run("gpg", "--with-colons", "--with-keygrip", "--list-secret-keys")
    lines = [line.split(":") for line in listed.decode().splitlines()]
    subkey = next(place for place, line in enumerate(lines) if line[0] == "ssb" and line[11] == "a")
    grip = next(line[9] for line in lines[subkey:] if line[0] == "grp")
    laptop.account.write(f"{grip} 0\n", ".gnupg/sshcontrol")
    laptop.account.write("enable-ssh-support\n", ".gnupg/gpg-agent.conf")
    laptop.account.run("gpgconf", "--kill", "gpg-agent")
    laptop.account.run("gpgconf", "--launch", "gpg-agent")
    socket = laptop.account.run("gpgconf", "--list-dirs", "agent-ssh-socket").decode().strip()
    server = sshd(methods="publickey,keyboard-interactive")
    public = laptop.account.run("gpg", "--export-ssh-key", fingerprint)
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


def test_the_host_key_question_reaches_the_terminal(name: str, laptop: Client) -> None:
    known = laptop.home / ".ssh/known_hosts"
    known.unlink()
    terminal = laptop.type("trex", "ssh", name, "id -un")
    terminal.expect_exact("Are you sure you want to continue connecting (yes/no/[fingerprint])? ")
    terminal.sendline("perhaps")
    terminal.expect_exact("perhaps")
    terminal.expect_exact("Please type 'yes', 'no' or the fingerprint: ")
    terminal.sendline("yes")
    terminal.expect_exact("yes\r\n")
    terminal.expect_exact("alice\r\n")
    terminal.expect(pexpect.EOF)
    assert "ssh-ed25519" in known.read_text()
    known.unlink()
    refused = laptop.type("trex", "ssh", name, "id -un")
    refused.expect_exact("(yes/no/[fingerprint])? ")
    refused.sendline("no")
    refused.expect_exact("Host key verification failed.")
    refused.expect(pexpect.EOF)


def test_a_password_after_the_challenge_is_typed_unseen(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    subprocess.run(["chpasswd"], input=b"alice:open sesame\n", check=True)
    service = sandbox.pam_service(
        "trex-and-password", f"auth requisite pam_python.so {sandbox.ENTRY}",
        "auth required pam_unix.so", "account required pam_permit.so",
        "session required pam_permit.so",
    )  # fmt: skip
    name = laptop.knows(sshd(service=service))
    terminal = laptop.type("trex", "ssh", name, "id -un")
    terminal.expect_exact("trex: answered alice at ")
    terminal.expect_exact("(alice@127.0.0.1) Password: ")
    wait_for_no_echo(terminal)
    terminal.sendline("open sesame")
    terminal.expect_exact("alice\r\n")
    assert "sesame" not in (terminal.before or "")
    terminal.expect(pexpect.EOF)


def test_a_passphrase_of_an_ssh_key_is_typed_unseen(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    name = laptop.knows(sshd(methods="publickey,keyboard-interactive"))
    laptop.account.run("ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", ".ssh/key")
    terminal = laptop.type("trex", "ssh", name, "id -un")
    terminal.expect_exact("Enter passphrase for key")
    wait_for_no_echo(terminal)
    terminal.sendline("open sesame")
    terminal.expect_exact("alice\r\n")
    assert "sesame" not in (terminal.before or "")
    terminal.expect(pexpect.EOF)


def test_without_a_terminal_other_questions_get_nothing(hostile: Hostile, laptop: Client) -> None:
    assert hostile.ask(laptop, "Password: ")[0] == [""]


def test_an_askpass_program_that_was_set_before_is_asked_as_before(
    hostile: Hostile, laptop: Client, holder: Holder, keys: Keys
) -> None:
    said = laptop.home / "said"
    askpass = laptop.account.write(
        f'#!/bin/sh\necho "$1|$SSH_ASKPASS_REQUIRE|${{SSH_ASKPASS##*/}}|$TREX_SSH" >> {said}\n'
        "echo typed elsewhere\n", "my-askpass",
    )  # fmt: skip
    askpass.chmod(0o700)
    name = laptop.knows(hostile.server)
    before = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    hostile.will_ask("Colour? ", encrypt(holder, keys["cv25519"]))
    laptop.run("trex", "ssh", name, environment=before)
    assert hostile.heard() == ["typed elsewhere", "hzA8vx2i2Y"]
    assert said.read_text() == "(alice@127.0.0.1) Colour? |force|my-askpass|\n"
    preferred = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "prefer"}
    for environment, heard in (
        (preferred, ""),
        (preferred | {"DISPLAY": ":0"}, "typed elsewhere"),
        ({"SSH_ASKPASS": str(askpass)}, ""),
        ({"SSH_ASKPASS": str(askpass), "DISPLAY": ":0"}, "typed elsewhere"),
        ({"SSH_ASKPASS": str(askpass), "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "never"}, ""),
    ):
        hostile.will_ask("Colour? ")
        laptop.run("trex", "ssh", name, environment=environment)
        assert hostile.heard() == [heard], environment


def test_a_host_by_another_name_is_confirmed_once(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    name = laptop.knows(sshd(), name="elsewhere")
    alone = laptop.run("trex", "ssh", name, "id -un")
    assert alone.returncode == 255, "nobody is there to confirm it"
    assert "trex ssh once at a terminal" in alone.stderr
    terminal = laptop.type("trex", "ssh", name, "id -un")
    terminal.expect_exact(f"The message is for the host {os.uname().nodename}, and ssh goes to ")
    terminal.expect_exact("(yes/no) ")
    terminal.sendline("no")
    terminal.expect_exact("Permission denied")
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
    alias = [f"HostKeyAlias {os.uname().nodename}.example.org", "StrictHostKeyChecking no"]
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


def test_a_message_for_a_key_that_is_elsewhere_comes_to_the_terminal(
    hostile: Hostile, laptop: Client, holder: Holder, keys: Keys
) -> None:
    hostile.will_ask(f"\n{encrypt(holder, keys['rsa2048'])}Response: ")
    terminal = laptop.type("trex", "ssh", laptop.knows(hostile.server))
    terminal.expect_exact("error: this message is for somebody else")
    terminal.expect_exact("-----BEGIN PGP MESSAGE-----")
    terminal.expect_exact("Response: ")
    terminal.sendline("from my telephone")
    terminal.expect(pexpect.EOF)
    assert hostile.heard() == ["from my telephone"]


def test_a_jump_host_cannot_have_the_target_s_challenge_answered(
    hostile: Hostile, laptop: Client, holder: Holder, keys: Keys
) -> None:
    """It asks with the challenge that it got from the host beyond it."""
    with open("/etc/hosts", "a", encoding="ascii") as hosts:
        hosts.write("127.0.0.1 jump.test target.test\n")
    laptop.knows(hostile.server, name="jump.test")
    config = laptop.home / ".ssh/config"
    config.write_text(config.read_text().replace("HostName 127.0.0.1", "StrictHostKeyChecking no"))
    to = keys["cv25519"]
    hostile.will_ask(encrypt(holder, to, name=context(host="target")), "Code? ",
                     encrypt(holder, to, name=context(host="jump")))  # fmt: skip
    done = laptop.run("trex", "ssh", "-J", "jump.test", "alice@target.test", "true")
    assert done.returncode == 255
    assert hostile.heard() == ["", "", "hzA8vx2i2Y"], done.stderr


def test_interrupted_at_a_question(hostile: Hostile, laptop: Client) -> None:
    """The fixture `nothing_left` sees to it that no process stays."""
    hostile.will_ask("Password: ")
    name = laptop.knows(hostile.server)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        terminal = laptop.type("sh", "-c", f"trex ssh {name}; echo ended; stty -a; exec sleep 30")
        terminal.expect_exact("Password: ")
        wait_for_no_echo(terminal)
        os.kill(child_of(terminal.pid, "ssh"), number)
        terminal.expect_exact("ended")
        wait_for_echo(terminal)
        terminal.close(force=True)


def test_ssh_is_killed_while_the_agent_asks(
    hostile: Hostile, laptop: Client, holder: Holder
) -> None:
    """The fixture `nothing_left` sees to it that neither trex-askpass nor gpg stays."""
    holder.take(laptop.make_locked_key("slow@example.org"))
    asked = laptop.home / "asked"
    laptop.use_pinentry(laptop.write_pinentry(f"touch {asked}"))
    hostile.will_ask(encrypt(holder, "slow@example.org"))
    terminal = laptop.type("sh", "-c", f"trex ssh {laptop.knows(hostile.server)}; echo ended")
    deadline = time.monotonic() + 20
    while not asked.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(child_of(terminal.pid, "ssh"), signal.SIGKILL)
    terminal.expect_exact("ended")
    while laptop.account.run("pgrep", "-u", "laptop", "-x", "gpg|trex-askpass", check=False):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    terminal.close(force=True)


def test_a_passphrase_is_asked_by_the_agent_at_the_terminal(
    alice: Account, laptop: Client, holder: Holder, sshd: Callable[..., Sshd]
) -> None:
    alice.import_keys(laptop.make_locked_key("locked@example.org"))
    alice.write("locked@example.org trust nosign\n")
    laptop.account.write("pinentry-program /usr/bin/pinentry-tty\n", ".gnupg/gpg-agent.conf")
    name = laptop.knows(sshd())
    for typed, said in (("wrong", "the passphrase was wrong"), (PASSPHRASE, "alice\r\n")):
        laptop.account.run("gpgconf", "--kill", "gpg-agent")
        terminal = laptop.type("sh", "-c", f"sleep 1; trex ssh {name} id -un")
        terminal_of(terminal, laptop)
        for _ in range(3 if typed == "wrong" else 1):
            terminal.expect("Passphrase: ?")
            time.sleep(0.3)
            terminal.sendline(typed)
        terminal.expect_exact(said)
        terminal.expect(pexpect.EOF)
        assert "sesame" not in (terminal.before or "")


def wait_for_no_echo(terminal: pexpect.spawn[str]) -> None:
    assert terminal.waitnoecho(10)


def wait_for_echo(terminal: pexpect.spawn[str]) -> None:
    deadline = time.monotonic() + 10
    while not terminal.getecho():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def name_port(laptop: Client) -> str:
    config = (laptop.home / ".ssh/config").read_text()
    return next(line.split()[1] for line in config.splitlines() if line.startswith("Port "))


def child_of(pid: int, name: str) -> int:
    """Return the process called `name` below `pid`."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == name:
            return int(child)
    raise AssertionError(f"no {name} below {pid}")


def terminal_of(terminal: pexpect.spawn[str], laptop: Client) -> None:
    """Give a pseudo-terminal to the user at it: pinentry opens it by its name."""
    os.chown(os.readlink(f"/proc/{terminal.pid}/fd/0"), laptop.account.uid, -1)
