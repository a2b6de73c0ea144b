"""What script/install, or pip on a client, brings for the `trex` command."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.installation import LIBRARY, install

if TYPE_CHECKING:
    from tests.support.sandbox import Account


def test_the_command_comes_and_goes_with_the_module(usr: None, alice: Account) -> None:
    install()
    shown = alice.run("trex", "show").decode()
    assert "Can answer: Test Key <cv25519@example.org>" in shown
    for name in commands():
        page = Path(f"/usr/share/man/man1/trex-{name}.1")
        assert page.is_file()
        text = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True,
                              check=True, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80"})  # fmt: skip
        assert text.stderr == ""
        assert f"trex-{name}" in text.stdout
        assert "EXAMPLES" in text.stdout
    linked = [path for path in Path("/usr/share").rglob("*trex*") if path.is_symlink()]
    assert len(linked) > 5
    install("--uninstall", "--force")
    assert not any(path.is_symlink() for path in [*linked, Path("/usr/bin/trex")])


def commands() -> list[str]:
    """Return the commands that the help lists."""
    text = subprocess.run(["trex", "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  ([\w-]+)  ", text.partition("Commands:")[2], re.MULTILINE)


def test_a_trex_that_is_not_ours_is_left_alone(usr: None) -> None:
    foreign = Path("/usr/bin/trex")
    foreign.write_text("#!/bin/sh\n")
    done = install()
    assert done.returncode != 0
    assert "/usr/bin/trex is there already" in done.stderr
    assert not LIBRARY.exists()
    install("--uninstall", "--force")
    assert foreign.read_text() == "#!/bin/sh\n"


def test_bash_completes(usr: None) -> None:
    install()
    script = (
        "source /usr/share/bash-completion/completions/trex; COMP_WORDS=(trex {words}); "
        "COMP_CWORD=$(({count}-1)); _trex_completion trex; echo ${{COMPREPLY[@]}}"
    )
    for words, wanted in (("enr", "enroll"), ("enroll --from-", "--from-keyring")):
        text = script.format(words=words, count=len(words.split()) + 1)
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [wanted], done.stderr


CONFIG = "Include other\nHost server.example.org sweb *.example.net\n"
# What is typed, for each shell; then what it proposes.
AS_SSH = {
    "bash": (
        "source /usr/share/bash-completion/bash_completion; _completion_loader {program} || "
        "_comp_load {program}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; "
        "COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); "
        "_trex_as_ssh {program} 2>/dev/null; printf '%s\\n' ${{COMPREPLY[@]}}"
    ),
    "fish": "complete -C '{line}'",
}


@pytest.fixture
def hosts(usr: None, alice: Account) -> Account:
    """An account whose ssh knows two hosts by its configuration, and one by its key."""
    install()
    alice.run("mkdir", "-m", "700", ".ssh")
    alice.write(CONFIG, ".ssh/config")
    alice.write("Host shome\n", ".ssh/other")
    alice.write(
        "sknown.example.org ssh-ed25519 AAAA\n|1|a|b ssh-ed25519 AAAA\n", ".ssh/known_hosts"
    )
    return alice


@pytest.mark.parametrize("program", ["trex", "trex-ssh"])
@pytest.mark.parametrize("shell", AS_SSH)
def test_hosts_and_options_are_completed_as_ssh_completes_them(
    hosts: Account, shell: str, program: str
) -> None:
    start = "trex ssh" if program == "trex" else program

    def proposed(line: str) -> set[str]:
        text = AS_SSH[shell].format(line=line, program=line.split(maxsplit=1)[0])
        told = hosts.run(shell, "-c", text, check=False).decode().splitlines()
        return {words.split("\t")[0] for words in told}

    assert {"server.example.org", "sweb"} <= proposed(f"{start} s")
    assert "StrictHostKeyChecking" in "".join(proposed(f"{start} -o StrictHost"))


@pytest.mark.parametrize("start", ["trex ssh", "trex-ssh"])
def test_zsh_completes_hosts_as_ssh_s(hosts: Account, start: str) -> None:
    """At a terminal: zsh completes nowhere else."""
    words = ["--reuid", "alice", "--regid", "alice", "--clear-groups", "zsh", "-f", "-i"]
    terminal = pexpect.spawn(
        "/usr/bin/setpriv", words, cwd=str(hosts.home), encoding="utf-8", timeout=60,
        env={"HOME": str(hosts.home), "PATH": "/usr/bin:/bin", "TERM": "dumb", "PS1": "ready> "},
    )  # fmt: skip
    terminal.expect_exact("ready> ")
    terminal.sendline(
        "unsetopt zle_bracketed_paste; autoload compinit; compinit -u -D; echo do''ne"
    )
    terminal.expect_exact("done")
    terminal.expect_exact("ready> ")
    terminal.send(f"{start} serv\t")
    terminal.expect_exact("server.example.org")
    terminal.close(force=True)


def test_hosts_accounts_and_fixed_values_are_completed(hosts: Account) -> None:
    hosts.run("trex", "pin", "--help")
    hosts.run("mkdir", "-p", "-m", "700", ".config/trex")
    hosts.write(f"spinned.example.org {'A' * 40}\n", ".config/trex/pins")
    hosts.write("alice@snamed.example.org alice@s\n", ".config/trex/names")
    for words, wanted in (
        ("ssh s", "server.example.org shome sknown.example.org sweb"),
        ("ssh bob@sw", "bob@sweb"), ("pin sho", "shome"), ("unpin s", "spinned.example.org"),
        ("unname al", "alice@snamed.example.org"), ("enroll --user al", "alice"),
        ("doctor --service sud", "sudo sudo-i"), ("try ali", "alice"),
        ("enroll --page webQrAuth", "webQrAuthNoTls webQrAuthTls"), ("enroll --sign-as n", "nosign"),
    ):  # fmt: skip
        told = subprocess.run(
            ["trex"], capture_output=True, text=True, check=True, user=hosts.uid, cwd=hosts.home,
            env={"_TREX_COMPLETE": "bash_complete", "COMP_WORDS": f"trex {words}",
                 "COMP_CWORD": str(len(words.split())), "PATH": "/usr/bin:/bin",
                 "HOME": str(hosts.home)},
        )  # fmt: skip
        found = [line.partition(",")[2] for line in told.stdout.splitlines()]
        assert " ".join(found) == wanted, words
        assert told.stderr == ""


def test_a_command_that_does_not_exist_is_answered_with_what_was_meant(usr: None) -> None:
    install()
    for typed, told in (
        ("enrol", "Did you mean enroll?"), ("unpn", "Did you mean unpin or "),
        ("frobnicate", "No such command 'frobnicate'.\n"),
    ):  # fmt: skip
        done = subprocess.run(["trex", typed], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert told in done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_completions(usr: None, shell: str) -> None:
    install()
    script = LIBRARY / "current/completions" / f"trex.{shell}"
    flag = {"zsh": "-n", "fish": "--no-execute"}[shell]
    done = subprocess.run([shell, flag, script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    if shell == "fish":
        asked = "complete -C 'trex enr'"
        done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; {asked}"],
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert done.stdout.split()[0] == "enroll"
    else:
        answer = subprocess.run(
            ["trex"], capture_output=True, text=True, check=True,
            env={"_TREX_COMPLETE": "zsh_complete", "COMP_WORDS": "trex enr", "COMP_CWORD": "1",
                 "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert answer.stdout.split("\n")[:2] == ["plain", "enroll"]


def test_a_client_without_pam_installs_the_command_with_pip(place: Path) -> None:
    """Without the network: what it depends on are the system's packages."""
    source, made = place / "source", place / "venv"
    shutil.copytree(
        sandbox.PROJECT, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "*.pyc")
    )
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", made], check=True)
    subprocess.run(
        [made / "bin/pip", "install", "--quiet", "--no-index", "--no-build-isolation", source],
        check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(place),
                         "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )  # fmt: skip
    for command in (["--version"], ["enroll", "--help"], ["show", "--help"], ["doctor", "--help"]):
        done = subprocess.run([made / "bin/trex", *command], capture_output=True, text=True,
                              check=True, cwd="/", env={"PATH": "/usr/bin:/bin"})  # fmt: skip
        assert done.stdout.startswith(("trex ", "Usage: trex "))
    for directory in (source, made):
        shutil.rmtree(directory)
