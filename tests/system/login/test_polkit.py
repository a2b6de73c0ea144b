"""pkttyagent, which asks at a terminal when polkit requires an authentication."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.servers import end, wait_for_socket
from tests.system.login.test_programs import respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log

pytestmark = pytest.mark.usefixtures("door")
BUS = Path("/run/dbus")
POLKITD = "/usr/lib/polkit-1/polkitd"
RULES = Path("/etc/polkit-1/rules.d/00-trex.rules")
SERVICE = sandbox.PAM_SERVICES / "polkit-1"
ACTION = "org.freedesktop.policykit.exec"
ALICE = 'polkit.addAdminRule(function(action, subject) { return ["unix-user:alice"]; });\n'


def wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def polkit() -> Iterator[None]:
    """A system bus and a polkitd of the sandbox's own; alice is who may."""
    kept = SERVICE.read_bytes() if SERVICE.exists() else None
    sandbox.trex_service("polkit-1")
    RULES.parent.mkdir(parents=True, exist_ok=True)
    RULES.write_text(ALICE)
    RULES.chmod(0o644)
    os.chown(RULES.parent, pwd.getpwnam("polkitd").pw_uid, -1)
    BUS.mkdir(mode=0o755)
    asking = ["dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus",
              "/", "org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.PolicyKit1"]  # fmt: skip

    def is_there() -> bool:
        return b"true" in subprocess.run(asking, capture_output=True, check=False).stdout

    with ExitStack() as started:
        bus = start("dbus-daemon", "--system", "--nofork", "--nopidfile")
        started.callback(end, bus)
        wait_for_socket(BUS / "system_bus_socket", bus)
        started.callback(end, start(POLKITD, "--no-debug"))
        wait_until(is_there)
        yield
    subprocess.run(["rm", "-r", BUS, RULES], check=True)
    SERVICE.unlink() if kept is None else SERVICE.write_bytes(kept)


def as_bob(script: str) -> pexpect.spawn[str]:
    command = ["--reuid=bob", "--regid=bob", "--init-groups", "sh", "-c", script]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    return pexpect.spawn("setpriv", command, encoding="utf-8", timeout=60, env=environment)


def test_pkttyagent_shows_the_challenge_and_brings_the_answer(
    alice: Account, bob: Account, polkit: None, holder: Holder, log: Log
) -> None:
    registered = bob.home / "registered"
    os.mkfifo(registered)
    bob.own(registered, 0o600)
    asks = as_bob(f"read ready; pkcheck --process $$ --action-id {ACTION} -u && echo may")
    agent = as_bob(f"exec pkttyagent --process {asks.pid} --notify-fd 3 3> {registered}")
    assert registered.read_text() == "", "it closes this once it is registered"
    asks.sendline("ready")
    respond(agent, holder)
    asks.expect("may\r\n")
    asks.close()
    agent.close(force=True)
    assert log.trex("accepted: user=alice service=polkit-1")
