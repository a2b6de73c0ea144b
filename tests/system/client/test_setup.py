"""`trex setup`: plain ssh, and what runs it, answers; whatever else is asked, is asked as before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.client import BIN, PASSPHRASE
from tests.support.hostile import encrypt
from tests.support.session import SHELLS, in_session, set_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")


@pytest.mark.parametrize("shell", SHELLS)
def test_plain_ssh_answers_in_a_session_of_each_shell(
    prepared: Client, server: Sshd, log: Log, shell: str
) -> None:
    done = prepared.run(*SHELLS[shell], "ssh alice@server.example.org id -un")
    assert done.stdout == "alice\n", done.stderr
    assert "trex: answered alice at server.example.org" in done.stderr or "answered" in done.stderr
    assert log.trex("accepted: user=alice")


def test_a_new_terminal_of_a_running_desktop_has_it_too(prepared: Client, server: Sshd) -> None:
    terminal = prepared.type("bash", "-i")
    terminal.sendline("ssh alice@server.example.org id -un")
    terminal.expect_exact("alice\r\n")
    terminal.sendline("exit")
    terminal.expect(pexpect.EOF)


def test_a_session_of_the_desktop_gets_it_from_systemd(prepared: Client, server: Sshd) -> None:
    runtime = {"XDG_CONFIG_HOME": str(prepared.home / ".config"), "SSH_ASKPASS": "/usr/bin/mine"}
    told = prepared.run(str(GENERATOR), environment=runtime).stdout.splitlines()
    given = dict(line.split("=", 1) for line in told)
    assert given["SSH_ASKPASS"] == str(BIN / "trex-askpass")
    assert given["TREX_SSH_ASKPASS"] == "/usr/bin/mine"
    assert given["TREX_SSH_ASKPASS_REQUIRE"] == ""
    done = prepared.run("ssh", "alice@server.example.org", "id", "-un", environment=given)
    assert done.stdout == "alice\n", done.stderr


def test_what_is_set_stays_right_when_it_is_read_again(prepared: Client) -> None:
    """A shell in a shell, and a session of systemd's whose shells read their profiles."""
    own = {"SSH_ASKPASS": "/usr/bin/mine", "SSH_ASKPASS_REQUIRE": "prefer"}
    shown = "env | grep SSH_ASKPASS | sort"
    once = in_session(prepared, shown, own).stdout
    assert once.splitlines() == [
        f"SSH_ASKPASS={BIN}/trex-askpass", "SSH_ASKPASS_REQUIRE=force",
        "TREX_SSH_ASKPASS=/usr/bin/mine", "TREX_SSH_ASKPASS_REQUIRE=prefer",
    ]  # fmt: skip
    given = dict(line.split("=", 1) for line in once.splitlines())
    for shell in SHELLS.values():
        assert prepared.run(*shell, shown, environment=given).stdout == once
    moved = given | {"SSH_ASKPASS": "/gone/trex-askpass"}
    for shell in SHELLS.values():
        assert prepared.run(*shell, shown, environment=moved).stdout == once
    for shell in SHELLS.values():
        other = prepared.run(*shell, shown, environment=given | {"SSH_ASKPASS": "/bin/x"}).stdout
        assert other == once.replace("/usr/bin/mine", "/bin/x")


def test_a_jump_host_is_a_login_of_its_own(prepared: Client, server: Sshd, log: Log) -> None:
    jump = "ssh -J alice@jump.example.org alice@server.example.org id -un"
    assert in_session(prepared, jump).stdout == "alice\n"
    assert len(log.trex("accepted: user=alice")) == 2


def test_the_names_of_a_host_are_those_of_the_ssh_that_asks(
    alice: Account, prepared: Client, sshd: Callable[..., Sshd]
) -> None:
    """Without `trex ssh` they come from the arguments of the process that asks."""
    host, server = os.uname().nodename, sshd()
    typed = prepared.knows(server)
    assert in_session(prepared, f"ssh {typed} id -un").stdout == "alice\n", "not in the prompt"
    name = prepared.knows(server, name="elsewhere")
    other = in_session(prepared, f"ssh -o NumberOfPasswordPrompts=1 {name} id -un")
    assert other.returncode == 255
    assert f"The message is for the host {host}, but ssh goes to " in other.stderr


def test_one_ssh_is_one_challenge(
    hostile: Hostile, prepared: Client, holder: Holder, keys: Keys
) -> None:
    name = prepared.knows(hostile.server)
    hostile.will_ask(*(encrypt(holder, keys["cv25519"]) for _ in range(2)))
    done = in_session(prepared, f"ssh {name} true")
    assert hostile.heard() == ["hzA8vx2i2Y"]
    assert "only one is answered" in done.stderr


def test_trex_ssh_asks_as_before_in_such_a_session(hostile: Hostile, prepared: Client) -> None:
    own = prepared.account.write('#!/bin/sh\necho "$0|$SSH_ASKPASS_REQUIRE"\n', "mine")
    own.chmod(0o700)
    name = prepared.knows(hostile.server)
    before = {"SSH_ASKPASS": str(own), "SSH_ASKPASS_REQUIRE": "force"}
    for ssh in ("ssh", "trex ssh", "trex-ssh"):
        hostile.will_ask("Colour? ")
        in_session(prepared, f"{ssh} {name} true", before)
        assert hostile.heard() == [f"{own}|force"], ssh


# ------------------------------------------------------ what is not Trex's is asked as before

SESSIONS: list[dict[str, str]] = [
    {},
    {"DISPLAY": ":0"},
    {"WAYLAND_DISPLAY": "wayland-0"},
    {"SSH_ASKPASS": "MINE", "WAYLAND_DISPLAY": "wayland-0"},
    {"SSH_ASKPASS": "MINE"},
    {"SSH_ASKPASS": "MINE", "DISPLAY": ":0"},
    {"SSH_ASKPASS": "MINE", "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "never"},
    {"SSH_ASKPASS": "MINE", "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "prefer"},
    {"SSH_ASKPASS": "MINE", "SSH_ASKPASS_REQUIRE": "prefer"},
    {"SSH_ASKPASS": "MINE", "SSH_ASKPASS_REQUIRE": "force"},
]


@pytest.fixture
def own_askpass(laptop: Client) -> Path:
    path = laptop.account.write("#!/bin/sh\necho typed elsewhere\n", "mine")
    path.chmod(0o700)
    return path


def with_own(session: dict[str, str], own: Path) -> dict[str, str]:
    return {name: value.replace("MINE", str(own)) for name, value in session.items()}


@pytest.mark.parametrize("at_terminal", [False, True], ids=["alone", "terminal"])
def test_a_server_s_other_question_goes_where_it_went_before(
    hostile: Hostile, laptop: Client, own_askpass: Path, at_terminal: bool
) -> None:
    """The same login twice in each session: before `trex setup`, and after it."""
    name = laptop.knows(hostile.server)

    def ask(before: dict[str, str]) -> list[str]:
        hostile.will_ask("Colour? ")
        line = f"ssh -o NumberOfPasswordPrompts=1 {name} true"
        if not at_terminal:
            in_session(laptop, line, before)
            return hostile.heard()
        terminal = laptop.type(*SHELLS["bash"], line, environment=before)
        if terminal.expect([r"Colour\? ", pexpect.EOF]) == 0:
            terminal.sendline("typed here")
            terminal.expect(pexpect.EOF)
        return hostile.heard()

    sessions = [with_own(session, own_askpass) for session in SESSIONS[3:]]
    without = [ask(session) for session in sessions]
    assert set_up(laptop).returncode == 0
    assert [ask(session) for session in sessions] == without
    assert {answer for answers in without for answer in answers} == {
        "typed elsewhere", "typed here" if at_terminal else "",
    }  # fmt: skip


def test_a_host_key_is_confirmed_at_the_terminal(prepared: Client, name: str) -> None:
    (prepared.home / ".ssh/known_hosts").unlink()
    terminal = prepared.type(*SHELLS["bash"], f"ssh {name} id -un")
    terminal.expect_exact("(yes/no/[fingerprint])? ")
    terminal.sendline("yes")
    terminal.expect_exact("yes\r\n")
    terminal.expect_exact("alice\r\n")
    terminal.expect(pexpect.EOF)


def test_without_a_terminal_an_unknown_host_key_is_refused(prepared: Client, name: str) -> None:
    (prepared.home / ".ssh/known_hosts").unlink()
    done = in_session(prepared, f"ssh {name} id -un")
    assert done.returncode == 255
    assert "Host key verification failed." in done.stderr
    assert not (prepared.home / ".ssh/known_hosts").exists()


def test_ssh_keygen_and_ssh_add_ask_as_before(laptop: Client, own_askpass: Path) -> None:
    """They also read standard input: RP_ALLOW_STDIN in OpenSSH's readpass.c."""
    make = 'rm -f new; ssh-keygen -q -t ed25519 -f new && ssh-keygen -y -P "{}" -f new >/dev/null'
    add = "eval $(ssh-agent) >&2; ssh-add new; ssh-add -l | wc -l; ssh-agent -k >&2"
    typed = f"{PASSPHRASE}\n{PASSPHRASE}\n".encode()

    def ask(session: dict[str, str]) -> list[str]:
        made = [in_session(laptop, make.format(word), session, typed).returncode
                for word in (PASSPHRASE, "typed elsewhere")]  # fmt: skip
        added = in_session(laptop, add, session, typed).stdout
        return [*map(str, made), added]

    sessions = [with_own(session, own_askpass) for session in SESSIONS]
    without = [ask(session) for session in sessions]
    assert set_up(laptop).returncode == 0
    assert [ask(session) for session in sessions] == without
    assert {tuple(one[:2]) for one in without} >= {("0", "255"), ("255", "0")}


def test_ssh_add_asks_at_the_terminal(prepared: Client) -> None:
    key = prepared.home / ".ssh/locked"
    prepared.account.run("ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", str(key))
    line = f"eval $(ssh-agent) >/dev/null; ssh-add {key}; ssh-agent -k"
    terminal = prepared.type(*SHELLS["bash"], line)
    terminal.expect_exact("Enter passphrase for ")
    assert terminal.waitnoecho(10)
    terminal.sendline(PASSPHRASE)
    terminal.expect_exact("Identity added")
    terminal.expect(pexpect.EOF)
    assert PASSPHRASE not in (terminal.before or "")


HELPER = "printf 'protocol=https\\nhost=git.example.org\\n\\n' | git credential fill"


def test_git_asks_for_a_name_and_a_password_as_before(prepared: Client, own_askpass: Path) -> None:
    """gitcredentials(7): git asks SSH_ASKPASS too, whatever the display."""
    terminal = prepared.type(*SHELLS["bash"], HELPER)
    terminal.expect_exact("Username for 'https://git.example.org': ")
    terminal.sendline("alice")
    terminal.expect_exact("alice\r\n")
    terminal.expect_exact("Password for 'https://alice@git.example.org': ")
    assert terminal.waitnoecho(10)
    terminal.sendline("sesame")
    terminal.expect_exact("password=sesame")
    assert "sesame" not in (terminal.before or "")
    terminal.expect(pexpect.EOF)
    own = in_session(prepared, HELPER, {"SSH_ASKPASS": str(own_askpass)})
    assert "password=typed elsewhere" in own.stdout
    for alone in (in_session(prepared, HELPER), in_session(prepared, HELPER, {"DISPLAY": ":0"})):
        assert alone.returncode == 128
        assert "could not read Username" in alone.stderr
    silent = prepared.type(*SHELLS["bash"], HELPER, environment={"GIT_TERMINAL_PROMPT": "0"})
    silent.expect_exact("terminal prompts disabled")
    silent.expect(pexpect.EOF)


def test_an_agent_s_question_goes_to_the_desktop_as_before(laptop: Client) -> None:
    """`ssh-add -c`: the agent has no terminal, and asks through the askpass program."""
    own = laptop.account.write(
        f'#!/bin/sh\necho "$SSH_ASKPASS_PROMPT" >> {laptop.home}/asked\n', "mine"
    )
    own.chmod(0o700)
    line = (
        "eval $(ssh-agent) >&2; ssh-keygen -q -t ed25519 -N '' -f new <<< y >&2; "
        "ssh-add -q -c new; ssh-keygen -Y sign -f new.pub -n test < new.pub; ssh-agent -k >&2"
    )
    session = {"SSH_ASKPASS": str(own), "DISPLAY": ":0"}
    asked = []
    for _ in range(2):
        assert "BEGIN SSH SIGNATURE" in in_session(laptop, line, session).stdout
        asked.append((laptop.home / "asked").read_text())
        (laptop.home / "asked").unlink()
        set_up(laptop)
    assert asked == ["confirm\n", "confirm\n"]
