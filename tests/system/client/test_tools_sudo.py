"""`trex sudo` with the real sudo: at a desk, and on a server whose user forwards their agent."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox, tools
from tests.support.client import BIN, Client
from tests.support.hostile import CHALLENGE, context, encrypt
from tests.support.mounts import mounted
from trex.openpgp.hostkeys import read_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

SSH, SUDOERS = Path("/etc/ssh"), Path("/etc/sudoers.d/alice")
OTHER = "A" * 16  # a host key
PATIENT = {"ANSIBLE_TIMEOUT": "120"}  # seconds, for sudo's prompt


@pytest.fixture
def host_key(place: Path) -> Iterator[str]:
    """A host key of this host; return how challenges name it."""
    key = SSH / "ssh_host_x_ed25519_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    yield read_key(f"{key}.pub")
    for path in SSH.glob("ssh_host_x_*"):
        path.unlink()


@pytest.fixture
def sudo(host_key: str) -> Iterator[None]:
    """Trex in sudo's service, and alice in sudoers."""
    kept = (sandbox.PAM_SERVICES / "sudo").read_bytes()
    sandbox.trex_service("sudo")
    SUDOERS.write_text("alice ALL=(ALL) ALL\n")
    SUDOERS.chmod(0o440)
    yield
    (sandbox.PAM_SERVICES / "sudo").write_bytes(kept)
    SUDOERS.unlink()


def use_key_of(server: Sshd) -> None:
    """Have this host's key be the one of its sshd."""
    shutil.copy(server.directory / "host_key.pub", SSH / "ssh_host_x_ed25519_key.pub")


@pytest.fixture
def desk(alice: Account, holder: Holder, keys: Keys) -> Iterator[Client]:
    """Alice at her own machine, with her secret key."""
    alice.import_keys(holder.secret(keys["cv25519"]))
    yield Client(alice)
    alice.run("gpgconf", "--kill", "all")


@pytest.mark.usefixtures("sudo")
def test_sudo_is_answered_at_a_desk(desk: Client, log: Log) -> None:
    done = desk.run("trex", "sudo", "id", "-un")
    assert done.stdout == "root\n", done.stderr
    assert "trex: answered alice at" in done.stderr
    assert "host key: this host's; signed: no" in done.stderr
    assert log.trex("accepted: user=alice")
    assert desk.run("trex", "sudo", "-k", "sh", "-c", "exit 42").returncode == 42


@pytest.fixture(params=["shown", "hidden"])
def processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whether /proc shows a user the processes of others, of which sudo is one (proc(5), hidepid)."""
    if request.param == "shown":
        yield
        return
    with mounted(Path("/proc"), "-t", "proc", "-o", "hidepid=2", "proc"):
        yield


@pytest.mark.usefixtures("sudo", "processes")
def test_sudo_is_answered_whether_other_users_processes_are_hidden_or_not(desk: Client) -> None:
    for _ in range(2):
        done = desk.run("trex", "sudo", "-k", "id", "-un")
        assert done.stdout == "root\n", done.stderr


@pytest.mark.usefixtures("sudo", "processes")
def test_of_two_challenges_of_the_real_sudo_only_the_first_is_answered(desk: Client) -> None:
    """sudo is root's process: its user can neither signal it nor, perhaps, see it."""
    line = f"auth required {sandbox.DOOR}"
    sandbox.pam_service("sudo", line, line, "account required pam_permit.so")
    done = desk.run("trex", "sudo", "id", "-un")
    assert done.stdout == ""
    assert done.stderr.count("trex: answered alice at") == 1, done.stderr
    assert "this sudo has shown a challenge before, and only one is answered" in done.stderr
    assert "trex: hint: run sudo again" in done.stderr


@pytest.mark.usefixtures("sudo")
def test_sudo_s_own_option_is_enough(desk: Client) -> None:
    askpass = {"SUDO_ASKPASS": str(BIN / "trex-sudo-askpass")}
    done = desk.run("sudo", "-A", "id", "-un", environment=askpass)
    assert done.stdout == "root\n", done.stderr


@pytest.mark.usefixtures("sudo")
def test_a_forwarded_agent_answers_on_a_server(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd], log: Log
) -> None:
    """docs/tools.md: the lines for ~/.ssh/config and sshd_config are those of the page."""
    server = sshd()
    use_key_of(server)
    name = laptop.knows(server)
    far = alice.run("gpgconf", "--list-dirs", "agent-socket").decode().strip()
    near = laptop.account.run("gpgconf", "--list-dirs", "agent-extra-socket").decode().strip()
    laptop.account.run("gpgconf", "--launch", "gpg-agent")
    os.makedirs(os.path.dirname(far), exist_ok=True)
    forward = ["-o", "StreamLocalBindUnlink=yes", "-R", f"{far}:{near}"]
    command = f"PATH={BIN}:$PATH trex sudo id -un"
    alone = laptop.run("trex", "ssh", name, command)
    assert (alone.returncode, alone.stdout) == (1, ""), "the key is on the laptop alone"
    alice.end_daemons()  # else it removes, as it ends, the socket that ssh puts there
    done = laptop.run("trex", "ssh", *forward, name, f"{command}; rm -f {far}")
    assert done.stdout == "root\n", done.stderr
    assert log.trex("accepted: user=alice service=sudo")


def test_only_a_challenge_for_this_user_this_host_and_sudo_is_answered(
    desk: Client, holder: Holder, to: str, host_key: str
) -> None:
    """CVE-style confusion: what a server shows that has got the challenge of another."""

    def answer(text: str) -> tuple[str, str]:
        done = desk.run("trex-sudo-askpass", f"\n{encrypt(holder, to, name=text)}Response: ")
        return done.stdout, done.stderr

    own = f" hostkeys={OTHER},{host_key}"
    assert answer(context(service="sudo") + own)[0] == CHALLENGE.decode()
    assert answer(context(service="sudo-i", host="whatever") + own)[0] == CHALLENGE.decode()
    refused = {
        context() + own: "is for sshd, not for sudo",
        context(service="su") + own: "is for su, not for sudo",
        context(service="sudo", user="bob") + own: "is for the user bob; you are alice",
        context(service="sudo") + f" hostkeys={OTHER}": "PASSED ON FROM ANOTHER HOST",
        context(service="sudo"): "names no host keys",
    }
    for text, reason in refused.items():
        response, said = answer(text)
        assert response == ""
        assert reason in said, text


def test_a_host_without_host_keys_is_known_by_its_name(
    desk: Client, holder: Holder, to: str
) -> None:
    """A desktop without sshd has none, and its challenges name none."""

    def answer(text: str) -> str:
        done = desk.run("trex-sudo-askpass", f"\n{encrypt(holder, to, name=text)}Response: ")
        return done.stdout

    assert answer(context(service="sudo")) == CHALLENGE.decode()
    assert answer(context(service="sudo", host="elsewhere")) == ""
    assert answer(context(service="sudo") + f" hostkeys={OTHER}") == ""


@pytest.mark.usefixtures("sudo")
def test_a_second_challenge_of_one_sudo_is_not_answered(
    desk: Client, holder: Holder, to: str, host_key: str
) -> None:
    text = f"{context(service='sudo')} hostkeys={host_key}"
    program = (
        "import subprocess, sys\n"
        "for one in sys.argv[1:]: print(subprocess.run(['trex-sudo-askpass', one]).returncode)"
    )
    prompts = [f"\n{encrypt(holder, to, name=text)}Response: " for _ in range(2)]
    done = desk.run("/usr/bin/python3", "-c", program, *prompts)
    assert done.stdout.split() == [CHALLENGE.decode().strip(), "0", "1"], done.stderr


def test_another_question_of_sudo_s_is_asked_as_before(desk: Client) -> None:
    done = desk.run("trex-sudo-askpass", "[sudo] password for alice: ")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no terminal to ask at: [sudo] password" in done.stderr
    terminal = desk.type("trex-sudo-askpass", "[sudo] password for alice: ")
    terminal.expect_exact("[sudo] password for alice: ")
    terminal.sendline("secret")
    terminal.expect_exact("\r\nsecret\r\n")


@pytest.mark.usefixtures("sudo")
def test_ansible_s_become_answers_through_a_forwarded_agent(
    alice: Account, laptop: Client, server: Sshd, log: Log
) -> None:
    """The page's inventory for it, with the programs where the tests have them."""
    use_key_of(server)
    far = alice.run("gpgconf", "--list-dirs", "agent-socket").decode().strip()
    near = laptop.account.run("gpgconf", "--list-dirs", "agent-extra-socket").decode().strip()
    laptop.account.run("gpgconf", "--launch", "gpg-agent")
    inventory = f"{tools.blocks('Ansible')[0]}\n{tools.blocks('sudo on a server')[-1]}\n"
    assert "trex sudo" in inventory
    inventory = inventory.replace("=trex sudo", f"={BIN}/trex sudo")
    laptop.account.write(inventory, "hosts")
    config = f"Host *\nStreamLocalBindUnlink yes\nRemoteForward {far} {near}\n"
    laptop.account.write(config, ".ssh/config")
    try:
        done = laptop.run("bash", "-c", tools.line("Ansible's become"), environment=PATIENT)
        assert "\nroot\n" in done.stdout, done.stdout + done.stderr
        assert log.trex("accepted: user=alice service=sudo")
    finally:
        for socket in (laptop.home / ".ansible/cp").glob("*"):
            control = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "server.example.org"]
            laptop.account.run(*control, check=False)
        Path(far).unlink(missing_ok=True)
