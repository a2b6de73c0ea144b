"""`trex ssh` at a terminal: it passes on what is not Trex's, shows no secret, and can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect

from tests.support import sandbox
from tests.support.client import PASSPHRASE
from tests.support.codes import ACCOUNT_LINES, FILE, text
from tests.support.hostile import encrypt
from tests.support.recovery import CODES, write_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys


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


def log_in_unseen(terminal: pexpect.spawn[str]) -> None:
    """Type the passphrase, which is not echoed, and log in."""
    wait_for_no_echo(terminal)
    terminal.sendline(PASSPHRASE)
    terminal.expect_exact("alice\r\n")
    assert "sesame" not in (terminal.before or "")
    terminal.expect(pexpect.EOF)


def test_a_password_after_the_challenge_is_typed_unseen(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    subprocess.run(["chpasswd"], input=f"alice:{PASSPHRASE}\n".encode(), check=True)
    service = sandbox.pam_service(
        "sshd", f"auth requisite pam_python.so {sandbox.ENTRY}",
        "auth required pam_unix.so", "account required pam_permit.so",
        "session required pam_permit.so",
    )  # fmt: skip
    name = laptop.knows(sshd(service=service))
    terminal = laptop.type("trex", "ssh", name, "id -un")
    terminal.expect_exact("trex: answered alice at ")
    terminal.expect_exact("(alice@127.0.0.1) Password: ")
    log_in_unseen(terminal)


def test_several_questions_of_one_login_are_all_asked(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    """A password, the key, and a code are one attempt."""
    subprocess.run(["chpasswd"], input=f"alice:{PASSPHRASE}\n".encode(), check=True)
    alice.write(text('" TOTP_AUTH', "12345678"), FILE)
    service = sandbox.pam_service(
        "sshd", "auth requisite pam_unix.so", f"auth requisite pam_python.so {sandbox.ENTRY}",
        f"auth required pam_python.so {sandbox.ENTRY} method=totp", *ACCOUNT_LINES,
    )  # fmt: skip
    terminal = laptop.type("trex", "ssh", laptop.knows(sshd(service=service)), "id -un")
    terminal.expect_exact("(alice@127.0.0.1) Password: ")
    wait_for_no_echo(terminal)
    terminal.sendline(PASSPHRASE)
    terminal.expect_exact("trex: answered alice at ")
    terminal.expect_exact("(alice@127.0.0.1) Verification code: ")
    wait_for_no_echo(terminal)
    terminal.sendline("12345678")
    terminal.expect_exact("alice\r\n")
    terminal.expect(pexpect.EOF)


def test_a_passphrase_of_an_ssh_key_is_typed_unseen(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    name = laptop.knows(sshd(methods="publickey,keyboard-interactive"))
    laptop.account.run("ssh-keygen", "-q", "-p", "-N", PASSPHRASE, "-f", ".ssh/key")
    terminal = laptop.type("trex", "ssh", name, "id -un")
    terminal.expect_exact("Enter passphrase for key")
    log_in_unseen(terminal)


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


def test_a_message_for_a_key_that_is_elsewhere_comes_to_the_terminal(
    hostile: Hostile, laptop: Client, holder: Holder, keys: Keys
) -> None:
    hostile.will_ask(f"\n{encrypt(holder, keys['rsa2048'])}Response: ")
    terminal = laptop.type("trex", "ssh", laptop.knows(hostile.server))
    terminal.expect_exact("error: this message is for ")
    terminal.expect_exact("-----BEGIN PGP MESSAGE-----")
    terminal.expect_exact("Response: ")
    terminal.sendline("from my telephone")
    terminal.expect(pexpect.EOF)
    assert hostile.heard() == ["from my telephone"]


# Each call first sleeps, in which a signal's handler runs: the call itself is not interrupted.
LATE = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <unistd.h>

static void late(int descriptor)
{
        if (isatty(descriptor))
                usleep(500000);
}

ssize_t read(int descriptor, void *buffer, size_t size)
{
        ssize_t (*next)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
        late(descriptor);
        return next(descriptor, buffer, size);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
        int (*next)(struct pollfd *, nfds_t, int) = dlsym(RTLD_NEXT, "poll");
        late(count == 1 ? fds[0].fd : -1);
        return next(fds, count, timeout);
}
"""


def test_interrupted_just_before_it_reads(hostile: Hostile, laptop: Client) -> None:
    """Python sees such a signal only after its next call, and nobody typed: it outlived its ssh."""
    source = laptop.account.write(LATE, "late.c")
    library = source.with_suffix(".so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", library, source],
                   check=True)  # fmt: skip
    hostile.will_ask("Password: ")
    name = laptop.knows(hostile.server)
    terminal = laptop.type(
        "sh", "-c", f"LD_PRELOAD={library} trex ssh {name}; echo ended; exec sleep 300"
    )
    terminal.expect_exact("Password: ")
    wait_for_no_echo(terminal)
    os.kill(child_of(terminal.pid, "ssh"), signal.SIGKILL)
    terminal.expect_exact("ended")
    wait_for_echo(terminal)
    terminal.close(force=True)


def test_interrupted_at_a_question(hostile: Hostile, laptop: Client) -> None:
    """The fixture `nothing_left` checks that no process is left."""
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
    """The fixture `nothing_left` checks that neither trex-askpass nor gpg is left."""
    slow = holder.take(laptop.make_locked_key("slow@example.org"))
    laptop.answer_with("slow@example.org")
    laptop.use_pinentry(laptop.write_pinentry(f"touch {laptop.home}/asked"))
    hostile.will_ask(encrypt(holder, slow))
    terminal = laptop.type("sh", "-c", f"trex ssh {laptop.knows(hostile.server)}; echo ended")
    laptop.wait_for("asked")
    os.kill(child_of(terminal.pid, "ssh"), signal.SIGKILL)
    terminal.expect_exact("ended")
    deadline = time.monotonic() + 60
    while laptop.account.run(
        "pgrep", "-r", "D,R,S", "-u", "laptop", "-x", "gpg|trex-askpass", check=False
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    terminal.close(force=True)


def test_a_passphrase_is_asked_by_the_agent_at_the_terminal(
    alice: Account, laptop: Client, holder: Holder, sshd: Callable[..., Sshd]
) -> None:
    alice.import_keys(laptop.make_locked_key("locked@example.org"))
    laptop.answer_with("locked@example.org")
    alice.write("locked@example.org trust nosign\n")
    laptop.account.write("pinentry-program /usr/bin/pinentry-tty\n", ".gnupg/gpg-agent.conf")
    name = laptop.knows(sshd())
    for typed, said in (("wrong", "the passphrase was wrong"), (PASSPHRASE, "alice\r\n")):
        laptop.account.end_daemons()
        terminal = laptop.type("sh", "-c", f"read go; exec trex ssh {name} id -un")
        terminal_of(terminal, laptop)
        terminal.sendline()
        for _ in range(3 if typed == "wrong" else 1):
            terminal.expect("Passphrase: ?")
            wait_for_no_echo(terminal)  # what is typed before that is thrown away
            terminal.sendline(typed)
        terminal.expect_exact(said)
        terminal.expect(pexpect.EOF)
        assert "sesame" not in (terminal.before or "")


def wait_for_no_echo(terminal: pexpect.spawn[str]) -> None:
    assert terminal.waitnoecho(60)


def wait_for_echo(terminal: pexpect.spawn[str]) -> None:
    deadline = time.monotonic() + 60
    while not terminal.getecho():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def child_of(pid: int, name: str) -> int:
    """Return the process called `name` below `pid`."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == name:
            return int(child)
    raise AssertionError(f"no {name} below {pid}")


def terminal_of(terminal: pexpect.spawn[str], laptop: Client) -> None:
    """Make the user own a pseudo-terminal: pinentry opens it by its name."""
    os.chown(os.readlink(f"/proc/{terminal.pid}/fd/0"), laptop.account.uid, -1)


def test_whoever_has_lost_the_key_types_a_recovery_code_unseen(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd], holder: Holder, keys: Keys
) -> None:
    """Enter at the challenge, and then the code."""
    alice.import_keys(holder.public(keys["cv25519-lost"]))
    alice.write(f"{keys['cv25519-lost']} trust nosign\n")
    write_codes(alice)
    service = sandbox.pam_service(
        "sshd", f"auth sufficient pam_python.so {sandbox.ENTRY} nullok",
        f"auth required pam_python.so {sandbox.ENTRY} method=recovery", *ACCOUNT_LINES,
    )  # fmt: skip
    terminal = laptop.type("trex", "ssh", laptop.knows(sshd(service=service)), "id -un")
    terminal.expect_exact("Response: ")
    terminal.sendline("")
    terminal.expect_exact("(alice@127.0.0.1) Recovery code: ")
    wait_for_no_echo(terminal)
    terminal.sendline(CODES[0])
    terminal.expect_exact("alice\r\n")
    assert CODES[0] not in (terminal.before or "")
    terminal.expect(pexpect.EOF)
