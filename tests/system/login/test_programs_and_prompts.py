"""Programs with their own prompt, or that show only its last line: for these is `message=info`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.examination import examine, write_service
from tests.system.login.test_programs import respond, spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log

DOAS = Path("/etc/doas.conf")
SUDOERS = Path("/etc/sudoers.d/alice")
RULE = "alice ALL=(ALL) ALL\n"
OVERRIDE = "Defaults passprompt_override\n"
OWN = "Mine: "
BEGIN = "-----BEGIN PGP MESSAGE-----"


def as_alice(*command: str) -> pexpect.spawn[str]:
    return spawn(["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", *command])


@pytest.fixture
def sudoers() -> Iterator[Callable[[str], None]]:
    def write(text: str) -> None:
        SUDOERS.write_text(text)
        SUDOERS.chmod(0o440)

    yield write
    SUDOERS.unlink()


def own_prompt(terminal: pexpect.spawn[str], prompt: str) -> str:
    """Return what is shown before this prompt."""
    terminal.expect_exact(prompt)
    return str(terminal.before)


def is_let_in(terminal: pexpect.spawn[str], holder: Holder, shown: str) -> bool:
    """Answer the message that was shown, and tell whether the command ran as root."""
    terminal.sendline(str(holder.decrypt(shown.replace("\r\n", "\n"))).strip())
    terminal.expect(pexpect.EOF)
    return "root\r\n" in str(terminal.before)


@pytest.mark.parametrize(
    ("defaults", "options", "prompt"),
    [("", ["-p", OWN], OWN), (OVERRIDE, [], "password for alice: ")],
    ids=["sudo -p", "passprompt_override"],
)
def test_sudo_s_own_prompt_hides_the_challenge_unless_it_is_information(
    alice: Account, holder: Holder, stack: Callable[..., Path],
    sudoers: Callable[[str], None], defaults: str, options: list[str], prompt: str,
) -> None:  # fmt: skip
    sudoers(defaults + RULE)
    stack("sudo")
    hidden = as_alice("sudo", *options, "id", "-un")
    assert BEGIN not in own_prompt(hidden, prompt)
    hidden.close(force=True)
    stack("sudo", "message=info")
    terminal = as_alice("sudo", *options, "id", "-un")
    assert is_let_in(terminal, holder, own_prompt(terminal, prompt))


def test_the_doctor_finds_passprompt_override_and_what_it_advises_lets_in(
    alice: Account, holder: Holder, stack: Callable[..., Path], sudoers: Callable[[str], None]
) -> None:
    sudoers(OVERRIDE + RULE)
    path = stack("sudo")
    door, finding, own = examine("--service", "sudo")["findings"]
    assert door["check"] == "caller-path"
    assert own["check"] == "own-record"
    assert (finding["check"], finding["severity"]) == ("sudo-prompt", "error")
    subprocess.run(["bash", "-c", finding["fix"]], check=True)
    assert " message=info" in path.read_text()
    left = [one["check"] for one in examine("--service", "sudo")["findings"]]
    assert left == ["caller-path", "own-record"]
    terminal = as_alice("sudo", "id", "-un")
    assert is_let_in(terminal, holder, own_prompt(terminal, "password for alice: "))


@pytest.mark.parametrize(
    ("service", "method", "blind"),
    [
        ("i3lock", "openpgp", True), ("i3lock", "sms", True), ("i3lock", "totp", False),
        ("xscreensaver", "openpgp", True), ("dovecot", "openpgp", True),
        ("vsftpd", "openpgp", True), ("vsftpd", "sms", True), ("vsftpd", "totp", False),
        ("login", "openpgp", False),
    ],
)  # fmt: skip
def test_the_doctor_knows_programs_that_cannot_show_a_challenge(
    alice: Account, stack: Callable[..., Path], service: str, method: str, blind: bool
) -> None:
    path = stack(service, f"method={method}")
    found = [f for f in examine("--service", service)["findings"] if f["check"] == "program-blind"]
    assert [f["severity"] for f in found] == ["error"] * blind
    assert all("method=totp|" in f["fix"] and str(path) in f["fix"] for f in found)


def test_the_doctor_finds_information_that_sshd_would_show_apart(
    host: Account, stack: Callable[..., Path]
) -> None:
    write_service("message=info")
    assert "program-info" in [finding["check"] for finding in examine()["findings"]]
    write_service()
    assert examine()["findings"] == []


@pytest.mark.parametrize("argument", ["message=prompt", "message=info"])
@pytest.mark.parametrize(
    ("service", "command"), [("doas", ["doas", "id", "-un"]), ("vlock", ["vlock", "-c"])]
)
def test_doas_and_vlock_show_either(
    alice: Account, holder: Holder, stack: Callable[..., Path], log: Log,
    service: str, command: list[str], argument: str,
) -> None:  # fmt: skip
    DOAS.write_text("permit alice\n")
    DOAS.chmod(0o400)
    stack(service, argument)
    terminal = as_alice(*command)
    if service == "vlock":
        terminal.expect("unlock")
        terminal.sendline("")
    respond(terminal, holder)
    terminal.expect(pexpect.EOF)
    terminal.close()
    DOAS.unlink()
    assert terminal.exitstatus == 0
    assert [f"service={service}" in line for line in log.trex("accepted")] == [True]


def test_an_application_that_refuses_the_information_is_asked_nothing(
    alice: Account, ask: Callable[..., Asked], log: Log
) -> None:
    asked = ask("alice", "--answer", "x", "--refuse-messages", arguments=("message=info",))
    assert asked.verdicts == ["PAM_CONV_ERR"]
    assert asked.prompt == ""
    [line] = log.trex("the conversation failed")
    assert line.endswith("the application could not show the message")
