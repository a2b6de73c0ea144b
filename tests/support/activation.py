"""A host whose own sshd can be switched over: Trex installed, Debian's PAM services, a user with both keys."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.sandbox import PLACE
from tests.support.servers import end, free_port, wait_for_port
from tests.support.sshd import PATIENT, version
from trex.cli.activation import plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

STATE = Path("/var/lib/trex/activation")
WITNESSES = Path("/run/trex-pam.activation")
PAM = Path("/etc/pam.d/sshd")
DROP_IN = Path("/etc/ssh/sshd_config.d/01-trex.conf")
WATCHER = "cli/activation/back.py"
NOBODY_LISTENS = re.compile(
    r"Connection (refused|reset)|^kex_exchange_identification: ", re.MULTILINE
)


def run(*command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program as root, as an administrator's shell would."""
    return subprocess.run(
        [str(word) for word in command], input=stdin, capture_output=True, text=True, check=False,
        timeout=300, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
        cwd="/", start_new_session=True,
    )  # fmt: skip


class HostSshd:
    """sshd with the host's own configuration, on a port of its own; SIGHUP has it read that again."""

    def __init__(self, user: Account) -> None:
        self.directory = PLACE / "host-sshd"
        self.directory.mkdir(exist_ok=True)
        self.port = free_port()
        for name in ("host_key", "client_key"):
            (self.directory / name).unlink(missing_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / name],
                           check=True)  # fmt: skip
        ssh = user.home / ".ssh"
        ssh.mkdir(exist_ok=True)
        user.own(ssh, 0o700)
        user.write((self.directory / "client_key.pub").read_bytes(), ".ssh/authorized_keys")
        self.log = self.directory / "sshd.log"
        patient = ["-o", PATIENT.replace(" ", "=")] if version() >= (9, 8) else []
        self.process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-p", str(self.port), "-o", "ListenAddress=127.0.0.1",
             "-h", self.directory / "host_key", *patient, "-E", self.log])  # fmt: skip
        wait_for_port(self.port, self.process, self.log.read_text)

    def command(self, user: str, *options: str) -> list[str]:
        """Return the ssh command that logs in."""
        return ["ssh", "-F", "none", "-p", str(self.port), "-o", "StrictHostKeyChecking=no",
                "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                "-o", "NumberOfPasswordPrompts=1", "-o", "IdentitiesOnly=yes",
                "-i", str(self.directory / "client_key"), *options, f"{user}@127.0.0.1"]  # fmt: skip

    def log_in(self, user: str, askpass: Path, what: str) -> subprocess.CompletedProcess[str]:
        """Log in with both keys and run `what` there, when sshd has read its configuration again.

        At SIGHUP it starts itself anew, and for a moment nobody listens.
        """
        until(lambda: not self._is_to_start_anew())
        deadline = time.monotonic() + 60
        while True:
            done = subprocess.run(
                [*self.command(user), what], capture_output=True, text=True, check=False,
                timeout=120, stdin=subprocess.DEVNULL, start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory), "LC_ALL": "C.UTF-8",
                     "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"},
            )  # fmt: skip
            if not NOBODY_LISTENS.search(done.stderr) or time.monotonic() > deadline:
                return done

    def _is_to_start_anew(self) -> bool:
        """Tell whether sshd has a SIGHUP that it has not taken yet (SigPnd and ShdPnd in proc(5))."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        pending = re.findall(r"^(?:Sig|Shd)Pnd:\t([0-9a-f]+)$", status, re.MULTILINE)
        return any(int(mask, 16) >> signal.SIGHUP - 1 & 1 for mask in pending)

    def close(self) -> None:
        """End the server."""
        end(self.process)


def watchers() -> list[int]:
    """Return the processes that wait to take an activation back, in this network namespace."""
    here = os.stat("/proc/self/ns/net").st_ino
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                if WATCHER.encode() in words and os.stat(entry / "ns/net").st_ino == here:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def make_due() -> None:
    """Have the time of the activation that waits be over."""
    [one] = plan.read_plans(plan.PENDING)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    plan.write_plan(replace(one, deadline=now), plan.PENDING)


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.1)
