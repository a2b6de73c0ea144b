"""`trex setup`: plain ssh, and what runs it, answers; whatever else is asked, is asked as before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox, tools
from tests.support.client import BIN, PASSPHRASE
from tests.support.hostile import encrypt

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")
SHELLS = {
    "sh": ["sh", "-l", "-c"],
    "bash": ["bash", "--login", "-c"],
    "zsh": ["zsh", "-c"],
    "fish": ["fish", "-c"],
}
TEXT = "the report\n"


@pytest.fixture
def prepared(laptop: Client) -> Client:
    """A client that has run `trex setup`, and uses each shell."""
    (laptop.home / ".zshrc").touch()
    (laptop.home / ".config/fish").mkdir(parents=True)
    laptop.account.run("true")
    for path in (laptop.home / ".config", laptop.home / ".config/fish", laptop.home / ".zshrc"):
        laptop.account.own(path, 0o755)
    assert set_up(laptop).returncode == 0
    return laptop


def set_up(laptop: Client, *options: str) -> subprocess.CompletedProcess[str]:
    return laptop.run("trex", "setup", "--yes", *options)


def in_session(
    laptop: Client, line: str, stdin: bytes = b"", **before: str
) -> subprocess.CompletedProcess[str]:
    """Run a line in a new session without a terminal."""
    line = f"PATH={BIN}:$PATH; {line}"  # Debian's /etc/profile sets it
    return laptop.run(*SHELLS["bash"], line, environment=before, stdin=stdin)


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


@pytest.mark.skipif(not GENERATOR.exists(), reason="there is no systemd here")
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
    once = in_session(prepared, shown, **own).stdout
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


def test_a_jump_host_is_a_login_of_its_own(prepared: Client, server: Sshd, log: Log) -> None:
    jump = "ssh -J alice@jump.example.org alice@server.example.org id -un"
    assert in_session(prepared, jump).stdout == "alice\n"
    assert len(log.trex("accepted: user=alice")) == 2


def test_the_names_of_a_host_are_those_of_the_ssh_that_asks(
    alice: Account, prepared: Client, sshd: Callable[..., Sshd]
) -> None:
    """Without `trex ssh` they come from the arguments of the process that asks."""
    host = os.uname().nodename
    name = prepared.knows(sshd(), name="elsewhere")
    line = f"ssh -o HostKeyAlias={host} -o StrictHostKeyChecking=no {name} id -un"
    assert in_session(prepared, line).stdout == "alice\n"
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
        in_session(prepared, f"{ssh} {name} true", **before)
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
            in_session(laptop, line, **before)
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
        made = [in_session(laptop, make.format(word), typed, **session).returncode
                for word in (PASSPHRASE, "typed elsewhere")]  # fmt: skip
        added = in_session(laptop, add, typed, **session).stdout
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
    own = in_session(prepared, HELPER, SSH_ASKPASS=str(own_askpass))
    assert "password=typed elsewhere" in own.stdout
    for alone in (in_session(prepared, HELPER), in_session(prepared, HELPER, DISPLAY=":0")):
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
        assert "BEGIN SSH SIGNATURE" in in_session(laptop, line, **session).stdout
        asked.append((laptop.home / "asked").read_text())
        (laptop.home / "asked").unlink()
        set_up(laptop)
    assert asked == ["confirm\n", "confirm\n"]


# ------------------------------------------------------------------- the files of the user

CONTENTS = {
    "usual": b"export A=1\n",
    "last line not ended": b"export A=1",
    "empty": b"",
    "an empty line": b"\n",
    "other line ends": b"# a comment\r\n",
    "not UTF-8": b"# \xe9t\xe9\n",
    "none": None,
}
FILES = (".profile", ".bashrc", ".zshenv")


def contents(home: Path) -> dict[str, tuple[bytes, int]]:
    """Return each file with its mode; Trex's own keyring and pins are not `trex setup`'s."""
    return {
        str(path.relative_to(home)): (path.read_bytes(), path.stat().st_mode)
        for path in home.rglob("*")
        if path.is_file() and ".gnupg" not in path.parts
    }


@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
def test_undo_restores_each_file_byte_for_byte(laptop: Client, content: bytes | None) -> None:
    for name in FILES:
        (laptop.home / name).unlink(missing_ok=True)
        if content is not None:
            laptop.account.write(content, name)
    before = contents(laptop.home)
    assert set_up(laptop).returncode == 0
    assert contents(laptop.home) != before
    again = set_up(laptop)
    assert "nothing to change" in again.stderr
    assert again.stdout == ""
    assert set_up(laptop, "--undo").returncode == 0
    assert contents(laptop.home) == before
    assert "Nothing of trex setup is there" in set_up(laptop, "--undo").stderr


def test_it_is_shown_before_it_is_written(laptop: Client) -> None:
    before = contents(laptop.home)
    dry = laptop.run("trex", "setup", "--dry-run")
    assert dry.returncode == 0
    assert f"+++ {laptop.home}/.profile" in dry.stdout
    assert "+    SSH_ASKPASS_REQUIRE=force" in dry.stdout
    assert contents(laptop.home) == before
    terminal = laptop.type("trex", "setup")
    terminal.expect_exact("+    SSH_ASKPASS_REQUIRE=force")
    terminal.expect_exact("Shall this be written? [y/N] ")
    terminal.sendline("n")
    terminal.expect(pexpect.EOF)
    assert contents(laptop.home) == before
    alone = laptop.run("trex", "setup")
    assert (alone.returncode, contents(laptop.home)) == (1, before)


def test_a_link_is_followed_and_modes_stay(laptop: Client) -> None:
    """Many people keep their profiles in a repository."""
    dotfiles = laptop.home / "dotfiles"
    laptop.account.run("mkdir", "dotfiles")
    kept = laptop.account.write("export A=1\n", "dotfiles/profile")
    kept.chmod(0o640)
    (laptop.home / ".profile").unlink()
    laptop.account.run("ln", "-s", "dotfiles/profile", ".profile")
    laptop.account.run("setfacl", "-m", "u:daemon:r", str(kept)) if _has_acl(kept) else None
    access = laptop.account.run("stat", "-c", "%a %U %G", str(kept))
    set_up(laptop)
    assert (laptop.home / ".profile").is_symlink()
    assert b"trex/environment.sh" in kept.read_bytes()
    assert laptop.account.run("stat", "-c", "%a %U %G", str(kept)) == access
    set_up(laptop, "--undo")
    assert kept.read_text() == "export A=1\n"
    assert not list(dotfiles.glob(".trex*"))


def _has_acl(path: Path) -> bool:
    try:
        os.setxattr(path, "user.trex", b"1")
    except OSError:
        return False
    os.removexattr(path, "user.trex")
    return True


def test_what_cannot_be_replaced_is_refused_and_nothing_is_changed(laptop: Client) -> None:
    profile, rc = laptop.home / ".profile", laptop.home / ".bashrc"
    usual = profile.read_bytes()

    def dangling() -> None:
        rc.symlink_to("nowhere")

    def foreign() -> None:
        rc.write_bytes(b"")

    def linked() -> None:
        laptop.account.write("", "other")
        os.link(laptop.home / "other", rc)

    def directory() -> None:
        rc.mkdir()

    def damaged() -> None:
        laptop.account.write("# >>> trex setup >>>\nexport A=1\n", ".bashrc")

    for make, told in (
        (dangling, "No such file"), (foreign, "belongs to another user"),
        (linked, "2 hard links"), (directory, "is not a file"), (damaged, "by hand"),
    ):  # fmt: skip
        rc.unlink()
        make()
        done = set_up(laptop)
        assert done.returncode == 1
        assert told in done.stderr
        assert profile.read_bytes() == usual, told
        assert not (laptop.home / ".config/trex/environment.sh").exists()
        if make is directory:
            rc.rmdir()
            rc.touch()


def test_a_file_that_trex_did_not_write_is_left_alone(laptop: Client) -> None:
    laptop.account.run("mkdir", "-p", ".config/trex")
    mine = laptop.account.write("export MINE=1\n", ".config/trex/environment.sh")
    for options in ((), ("--undo",)):
        done = set_up(laptop, *options)
        assert "trex setup has not written it" in done.stderr
    assert mine.read_text() == "export MINE=1\n"


def test_what_the_user_writes_around_the_block_stays(laptop: Client) -> None:
    laptop.account.write("export A=1\n", ".profile")
    set_up(laptop)
    profile = laptop.home / ".profile"
    laptop.account.write(b"export B=2\n" + profile.read_bytes() + b"export C=3\n", ".profile")
    assert "nothing to change" in set_up(laptop).stderr
    set_up(laptop, "--undo")
    assert profile.read_text() == "export B=2\nexport A=1\nexport C=3\n"


def test_a_failure_leaves_every_file_as_it_was(laptop: Client) -> None:
    """A directory that cannot be written, after other files were."""
    repository = laptop.home / "repository"
    laptop.account.run("mkdir", "repository")
    laptop.account.write("export A=1\n", "repository/bashrc")
    (laptop.home / ".bashrc").unlink()
    laptop.account.run("ln", "-s", "repository/bashrc", ".bashrc")
    laptop.account.own(repository, 0o500)
    before = contents(laptop.home)
    done = set_up(laptop)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert contents(laptop.home) == before
    laptop.account.own(repository, 0o700)


def test_another_user_s_home_is_not_touched(laptop: Client) -> None:
    """`sudo -E` keeps HOME."""
    done = laptop.run("trex", "setup", "--yes", environment={"HOME": "/root"})
    assert done.returncode == 1
    assert "run it without sudo" in done.stderr


# ---------------------------------------------------------------------- what is wrong with it


def test_the_check_says_what_keeps_ssh_from_answering(prepared: Client, server: Sshd) -> None:
    good = in_session(prepared, "trex setup --check")
    assert (good.returncode, good.stdout) == (0, "Nothing was found.\n"), good.stdout
    bare = prepared.run("trex", "setup", "--check")
    assert (bare.returncode, "trex setup, and a new session" in bare.stdout) == (0, True)
    for session, told in (
        ({"SSH_ASKPASS": "/bin/mine"}, "since then SSH_ASKPASS is /bin/mine"),
        ({"SSH_ASKPASS": "/gone/trex-askpass"}, "/gone/trex-askpass cannot be run"),
    ):
        given = {"SSH_ASKPASS_REQUIRE": "force", "TREX_SSH_ASKPASS_REQUIRE": "", **session}
        found = prepared.run("trex", "setup", "--check", environment=given)
        assert found.returncode == 2
        assert told in found.stdout


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("KbdInteractiveAuthentication no", "error"), ("BatchMode yes", "error"),
        ("NumberOfPasswordPrompts 0", "error"), ("StrictHostKeyChecking no", "warning"),
        ("UserKnownHostsFile /dev/null", "warning"),
        ("PreferredAuthentications publickey,password", "error"),
    ],
)  # fmt: skip
def test_the_check_reads_ssh_s_own_settings(
    prepared: Client, server: Sshd, line: str, severity: str
) -> None:
    prepared.account.write(f"Host *\n  {line}\n", ".ssh/config")
    found = in_session(prepared, "trex setup --check").stdout
    assert (
        f"{severity}: ssh's setting for every host: {line.split(maxsplit=1)[0].lower()} " in found
    )


def test_the_check_looks_at_keys_pins_and_files(prepared: Client, server: Sshd) -> None:
    account = prepared.account
    account.write(f"server.example.org {'A' * 40}\n", ".config/trex/pins")
    account.run("chmod", "666", ".ssh/known_hosts")
    account.write("pinentry-program /nowhere/pinentry\n", ".gnupg/gpg-agent.conf")
    account.run("gpgconf", "--kill", "gpg-agent")
    found = in_session(prepared, "trex setup --check")
    assert found.returncode == 2
    for told in (
        "the key that is pinned for server.example.org is not in your keyring",
        "known_hosts can be written by others", "pinentry cannot be run: /nowhere/pinentry",
    ):  # fmt: skip
        assert told in found.stdout, found.stdout
    account.write("half a line\n", ".config/trex/names")
    assert "names:1:" in in_session(prepared, "trex setup --check").stdout
    fresh = sandbox.PLACE / "no-keys"
    fresh.mkdir(mode=0o700)
    account.own(fresh, 0o700)
    done = prepared.run("trex", "setup", "--check", environment={"GNUPGHOME": str(fresh)})
    account.run("gpgconf", "--homedir", str(fresh), "--kill", "all")
    assert "there is no secret key here" in done.stdout


def test_the_doctor_on_a_user_s_machine_looks_at_what_ssh_needs(
    prepared: Client, server: Sshd
) -> None:
    services = {path: path.read_bytes() for path in sandbox.PAM_SERVICES.iterdir()}
    try:
        for path, content in services.items():
            if b"pam_trex" in content:
                path.unlink()
        done = in_session(prepared, "trex doctor")
        assert done.returncode == 0, done.stdout
        assert "so this is taken for a user's machine" in done.stdout
        assert "/etc/pam.d" not in done.stdout
        assert "does not ask trex-askpass" in prepared.run("trex", "doctor").stdout
    finally:
        for path, content in services.items():
            path.write_bytes(content)
    assert "sshd's settings" in in_session(prepared, "trex doctor").stdout
