"""docs/tools.md, Ansible: its inventory and its lines are run as the page shows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox, tools

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.support.client import Client
    from tests.support.sandbox import Log

pytestmark = pytest.mark.usefixtures("server")
SUDOERS = Path("/etc/sudoers.d/alice")
PATIENT = {"ANSIBLE_TIMEOUT": "120"}  # seconds, for a connection and for sudo's prompt


@pytest.fixture
def controller(laptop: Client) -> Iterator[Client]:
    """An account that runs Ansible with the page's inventory; its connections end with the test."""
    laptop.account.write(tools.blocks("Ansible")[0] + "\n", "hosts")
    laptop.environment |= PATIENT
    yield laptop
    for socket in (laptop.home / ".ansible/cp").glob("*"):
        laptop.account.run("ssh", "-o", f"ControlPath={socket}", "-O", "exit", "server.example.org")


@pytest.fixture
def sudo() -> Iterator[None]:
    """Trex in sudo's service."""
    kept = (sandbox.PAM_SERVICES / "sudo").read_bytes()
    sandbox.trex_service("sudo")
    yield
    (sandbox.PAM_SERVICES / "sudo").write_bytes(kept)
    SUDOERS.unlink(missing_ok=True)


def run(controller: Client, line: str) -> subprocess.CompletedProcess[str]:
    return controller.run("bash", "-c", line)


def test_one_login_serves_all_that_a_task_runs(controller: Client, log: Log) -> None:
    done = run(controller, tools.blocks("Ansible")[1])
    assert '"ping": "pong"' in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert len(log.trex(" ms=")) == len(log.trex("accepted: user=alice")) == 1


@pytest.mark.parametrize("missing", ["KbdInteractiveAuthentication", "PreferredAuthentications"])
def test_each_of_the_two_options_is_needed(controller: Client, missing: str, log: Log) -> None:
    inventory = controller.home / "hosts"
    kept = [word for word in inventory.read_text().split(" ") if missing not in word]
    text = " ".join(kept).replace("-o -o", "-o").replace("=-o -o", "=-o")
    assert missing not in text
    inventory.write_text(text)
    done = run(controller, tools.blocks("Ansible")[1])
    assert done.returncode != 0
    assert "Permission denied" in done.stdout
    assert not log.trex(" ms=")


@pytest.mark.parametrize(("rule", "works"), [("NOPASSWD: ALL", True), ("ALL", False)])
def test_become_works_where_sudo_does_not_ask(
    controller: Client, sudo: None, rule: str, *, works: bool
) -> None:
    SUDOERS.write_text(f"alice ALL=(ALL) {rule}\n")
    SUDOERS.chmod(0o440)
    done = run(controller, tools.line("Ansible's become"))
    assert (done.returncode == 0, "\nroot\n" in done.stdout) == (works, works), done.stdout
    assert ("Missing sudo password" in done.stdout) != works
