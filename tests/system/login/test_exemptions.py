"""contrib/pam.d, the recipes of docs/stacks.md: each with the real programs, and what the doctor says of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import codes
from tests.support.examination import examine, found, secret
from tests.support.page_text import blocks, typed
from tests.support.sandbox import PAM_SERVICES, PROJECT
from tests.support.sshd import Sshd, answering, saying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

NOTE = Path("/etc/trex/doctor.toml")
ACCESS = Path("/etc/security/access-without-trex.conf")
INSIDE, ELSEWHERE = "192.0.2.10", "127.0.0.1"  # the recipe's network, and another address
WAYS = "publickey,keyboard-interactive"
PASSWORD = "correct"  # noqa: S105 (a test's)
CENTRAL = ["auth_file=/etc/trex/users/%u", "gnupg_home=/var/lib/trex/gnupg", "run_as=_trex"]
EXEMPTING = ["sshd-not-in-the-lan", "sshd-with-break-glass", "sudo-with-an-agent"]
LAN, GLASS, AGENT = ([*blocks("docs/stacks.md", f"## {heading}")] for heading in (
    "Not in the LAN", "A break-glass account", "sudo with an ssh-agent",
))  # fmt: skip


@pytest.fixture
def recipe(
    native_door: Path, central: list[str], holder: Holder, keys: Keys
) -> Iterator[Callable[..., str]]:
    """Install a recipe as a service, as it stands, with what its page says besides."""
    kept: dict[Path, bytes | None] = {}
    users = Path(central[0].partition("=")[2]).parent
    (users / ".alice.pgp").write_bytes(holder.public(keys["cv25519"]))
    (users / "alice").write_text(f"{users}/.alice.pgp trust nosign\n")

    def install(name: str, service: str) -> str:
        text = (PROJECT / "contrib/pam.d" / name).read_text()
        text = text.replace("pam_trex.so", str(native_door))
        for written, here in zip(CENTRAL, central, strict=True):
            text = text.replace(written, here)
        path = PAM_SERVICES / service
        kept.setdefault(path, path.read_bytes() if path.exists() else None)
        path.write_text(text)
        if name == "sshd-not-in-the-lan":
            typed(LAN[0], PROJECT)
        return service

    yield install
    for path, content in kept.items():
        path.unlink() if content is None else path.write_bytes(content)
    for path in (ACCESS, NOTE, Path("/run/motd.dynamic")):
        path.unlink(missing_ok=True)
    shutil.rmtree("/run/faillock", ignore_errors=True)


@pytest.fixture
def server(
    recipe: Callable[..., str], alice: Account, keys: Keys
) -> Iterator[Callable[[str], Sshd]]:
    """Start sshd with a recipe; it asks for alice's SSH key first."""
    started = []
    alice.write(f"{keys['cv25519']} trust nosign\n")
    subprocess.run(["chpasswd"], input=f"alice:{PASSWORD}", text=True, check=True)

    def start(name: str) -> Sshd:
        service = recipe(name, f"trex-stack-{name}")
        started.append(Sshd(service, "publickey,keyboard-interactive:pam"))
        return started[-1]

    yield start
    for one in started:
        one.close()


def log_in(server: Sshd, askpass: Path, user: str = "alice", origin: str = ELSEWHERE) -> str:
    """Return what `id -un` prints over there, "" where the login is refused."""
    command = server.command(user, "-b", origin, methods=WAYS)
    return subprocess.run(
        [*command, "id -un"], capture_output=True, text=True, check=False, timeout=60,
        stdin=subprocess.DEVNULL, start_new_session=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(server.directory), "LC_ALL": "C.UTF-8",
             "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"},
    ).stdout  # fmt: skip


def failures(user: str) -> int:
    """Return how many failures pam_faillock counts as valid."""
    done = subprocess.run(["faillock", "--user", user], capture_output=True, text=True, check=True)
    return sum(line.endswith(" V") for line in done.stdout.splitlines())


def both(place: Path, holder: Holder, other: str) -> Path:
    """Return an askpass program that answers a challenge with the key, and all else with `other`."""
    path = place / "askpass-both"
    path.write_text(
        f'#!/bin/sh\ncase $1 in *"BEGIN PGP"*) printf %s "$1" | {holder.command()} ;; '
        f"*) echo {other} ;; esac\n"
    )
    path.chmod(0o755)
    return path


def test_in_the_lan_the_ssh_key_is_enough_and_elsewhere_it_is_not(
    server: Callable[[str], Sshd], place: Path, holder: Holder
) -> None:
    subprocess.run(["ip", "address", "add", f"{INSIDE}/32", "dev", "lo"], check=True)
    try:
        running = server("sshd-not-in-the-lan")
        nothing = saying(place, "")
        assert log_in(running, nothing, origin=INSIDE) == "alice\n"
        assert log_in(running, nothing) == ""
        assert log_in(running, answering(place, holder, place / "shown")) == "alice\n"
        running.command = without_key(running)  # type: ignore[method-assign]
        assert log_in(running, nothing, origin=INSIDE) == "", "without the SSH key"
        ACCESS.unlink()
        assert log_in(running, nothing, origin=INSIDE) == "", "the file is gone: all are asked"
    finally:
        subprocess.run(["ip", "address", "del", f"{INSIDE}/32", "dev", "lo"], check=True)


def without_key(server: Sshd) -> Callable[..., list[str]]:
    command = server.command

    def made(*words: str, **more: str) -> list[str]:
        return [word.replace("client_key", "no_such_key") for word in command(*words, **more)]

    return made


def test_the_break_glass_account_has_a_password_and_no_other_account_does(
    server: Callable[[str], Sshd], place: Path, holder: Holder
) -> None:
    typed(GLASS[0].replace("passwd breakglass", f"echo breakglass:{PASSWORD} | chpasswd"), place)
    try:
        running = server("sshd-with-break-glass")
        password = saying(place, PASSWORD)
        assert log_in(running, password, "breakglass") == "breakglass\n"
        assert log_in(running, password) == "", "alice's password"
        assert failures("alice") == 1
        assert log_in(running, answering(place, holder, place / "shown")) == "alice\n"
        assert failures("alice") == 0
        assert log_in(running, saying(place, "wrong"), "breakglass") == ""
        assert failures("breakglass") == 1
    finally:
        subprocess.run(["userdel", "--remove", "--force", "breakglass"], check=True,
                       capture_output=True)  # fmt: skip


def test_key_and_then_password_takes_both(
    server: Callable[[str], Sshd], place: Path, holder: Holder
) -> None:
    running = server("sshd-key-then-password")
    assert log_in(running, both(place, holder, PASSWORD)) == "alice\n"
    assert log_in(running, both(place, holder, "wrong")) == ""
    assert log_in(running, saying(place, PASSWORD)) == ""


def test_key_or_code_counts_one_failure_for_a_login_that_neither_let_in(
    server: Callable[[str], Sshd], place: Path, holder: Holder, alice: Account
) -> None:
    alice.write(codes.text('" TOTP_AUTH'), codes.FILE)
    running = server("sshd-key-or-code-with-faillock")
    assert log_in(running, saying(place, "000000")) == ""
    assert failures("alice") == 1, "the key's question and the code's were both answered wrongly"
    code = codes.code(codes.here())
    assert log_in(running, saying(place, code)) == "alice\n", "a code, after a wrong response"
    assert failures("alice") == 0
    (alice.home / codes.FILE).unlink()
    assert log_in(running, saying(place, "000000")) == ""
    assert failures("alice") == 1, "also of somebody who has the key alone"
    assert log_in(running, both(place, holder, "000000")) == "alice\n"
    assert failures("alice") == 0


def test_sudo_asks_nobody_whose_agent_has_a_key_that_root_keeps(
    recipe: Callable[..., str], alice: Account, place: Path
) -> None:
    recipe("sudo-with-an-agent", "sudo")
    key = place / "agent-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    alice.own(key, 0o600)
    typed(AGENT[0].replace("alice.pub", f"{key}.pub"), place)
    sudoers = Path("/etc/sudoers.d/trex-stacks")
    sudoers.write_text(f"alice ALL=(ALL) ALL\nDefaults passwd_tries=1\n{AGENT[1]}")
    sudoers.chmod(0o440)
    run = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "env", "-i",
           "PATH=/usr/bin:/bin", "ssh-agent"]  # fmt: skip
    add = f"ssh-add -q {key}; "

    def sudo(before: str) -> str:
        script = f'{before}sudo -S -k id -un </dev/null; kill "$SSH_AGENT_PID"'
        return subprocess.run([*run, "sh", "-c", script], capture_output=True, text=True,
                              check=False, timeout=60, cwd="/").stdout  # fmt: skip

    try:
        assert sudo(add) == "root\n"
        assert sudo("") == "", "an agent without the key"
        Path("/etc/security/agent_keys/alice").write_text("")
        assert sudo(add) == "", "a key that root has taken away"
    finally:
        sudoers.unlink()
        shutil.rmtree("/etc/security/agent_keys")
        for path in (key, Path(f"{key}.pub")):
            path.unlink()


def service_of(name: str) -> str:
    return name.partition("-")[0]


def around(*words: str) -> list[str]:
    """Return what the doctor says of ways around Trex, or of whom a recipe exempts."""
    return [one["what"] for one in examine(*words)["findings"]
            if one["check"] == "pam-around" or one["check"].startswith("exempt-")]  # fmt: skip


@pytest.mark.parametrize("name", EXEMPTING)
def test_the_doctor_names_an_exemption_until_it_is_acknowledged_and_again_once_it_changes(
    host: Account, recipe: Callable[..., str], name: str
) -> None:
    service = recipe(name, service_of(name))
    words = ("--service", service)
    finding = found("pam-around", *words)
    told = {
        "sshd-not-in-the-lan": f"whom these permit: {ACCESS}:3: + : ALL : 192.0.2.0/24",
        "sshd-with-break-glass": "pam_succeed_if.so at /etc/pam.d/sshd:4: if user = breakglass",
        "sudo-with-an-agent": "whose ssh-agent has a key of /etc/security/agent_keys/%u",
    }
    assert told[name] in finding["what"]
    acknowledge = finding["why"].partition("If that is intended: ")[2].replace("...", "ticket 1")
    done = subprocess.run(["bash", "-c", f'printf "%s\\n" {acknowledge}'], capture_output=True,
                          text=True, check=True)  # fmt: skip
    report = examine(*done.stdout.splitlines()[2:], *words)
    assert [(one["check"], one["reason"]) for one in report["ignored"]] == [
        ("pam-around", "ticket 1")
    ]
    assert [one for one in report["findings"] if one["severity"] != "note"] == []
    if name == "sshd-not-in-the-lan":
        assert f'line = "{finding["line"]}"\n' in blocks("docs/stacks.md", "## Acknowledge it")[1]
    path = ACCESS if name == "sshd-not-in-the-lan" else PAM_SERVICES / service
    before = path.read_text()
    for old, new in (("192.0.2.0/24", "192.0.0.0/16"), ("= breakglass", "ingroup users"),
                     ("agent_keys/%u", "agent_keys/all")):  # fmt: skip
        path.write_text(path.read_text().replace(old, new))
    assert path.read_text() != before
    assert len(around(*words)) == 1, "other people, or another network"
    path.write_text(f"# a comment\n{before}")
    assert around(*words) == [], "its place in the file is no matter"


@pytest.mark.parametrize("name", ["sshd-key-then-password", "sshd-key-or-code-with-faillock"])
def test_the_doctor_finds_nothing_wrong_with_a_recipe_that_exempts_nobody(
    host: Account, recipe: Callable[..., str], name: str
) -> None:
    recipe(name, "sshd")
    host.write(secret(), codes.FILE)
    assert [one for one in examine()["findings"] if one["severity"] != "note"] == []
