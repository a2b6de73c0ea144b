"""A person with the `trex` command: an account, its keys and its terminal."""

from __future__ import annotations

import os
import subprocess
import time
import tomllib
from typing import TYPE_CHECKING

import pexpect

from tests.support.sandbox import PLACE, PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sandbox import Account
    from tests.support.sshd import Sshd

BIN = PLACE / "client-bin"
PASSPHRASE = "open sesame"  # noqa: S105 (a test's)
# Else gpg-agent measures the machine, for seconds, each time that it protects a key.
AGENT = "s2k-count 65536\n"
PINENTRY = """\
#!/bin/sh
echo OK
while read -r command; do case $command in GETPIN|CONFIRM) {answer};; *) echo OK;; esac; done
"""
LAUNCHER = """\
#!/usr/bin/python3 -BI
import sys
sys.path.insert(0, {root!r})
from {module} import {function}
{function}()
"""


def install_commands() -> Path:
    """Make the programs that pyproject.toml promises, as pip makes them; return where."""
    if BIN.exists():
        return BIN
    BIN.mkdir()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    for name, entry in project["project"]["scripts"].items():
        module, _, function = entry.partition(":")
        path = BIN / name
        path.write_text(
            LAUNCHER.format(root=str(PLACE / "module"), module=module, function=function)
        )
        path.chmod(0o755)
    return BIN


class Client:
    """A user at home: keys without a passphrase unless the test makes others."""

    def __init__(self, account: Account) -> None:
        install_commands()
        self.account = account
        self.home = account.home
        self.environment = {
            "HOME": str(self.home), "PATH": f"{BIN}:/usr/bin:/bin", "LC_ALL": "C.UTF-8",
            "TERM": "xterm", "USER": account.name, "LOGNAME": account.name,
        }  # fmt: skip
        self.pins = self.home / ".config/trex/pins"
        self.names = self.home / ".config/trex/names"
        self.keys = self.home / ".config/trex/keys"
        self.services = self.home / ".config/trex/services"
        self._ssh_config()

    def _ssh_config(self) -> None:
        directory = self.home / ".ssh"
        directory.mkdir(mode=0o700, exist_ok=True)
        self.account.own(directory, 0o700)

    def knows(self, server: Sshd, *lines: str, name: str = "", user: str = "alice") -> str:
        """Write ~/.ssh/config for a server, by default under its own name; return the name."""
        name = name or os.uname().nodename
        key = self.account.write((server.directory / "client_key").read_bytes(), ".ssh/key")
        host_key = (server.directory / "host_key.pub").read_text().rsplit(" ", 1)[0]
        self.account.write(f"[127.0.0.1]:{server.port} {host_key}\n", ".ssh/known_hosts")
        config = [
            f"Host {name}", "HostName 127.0.0.1", f"Port {server.port}", f"User {user}",
            "IdentitiesOnly yes", f"IdentityFile {key}", "LogLevel ERROR", *lines,
        ]  # fmt: skip
        self.account.write("\n".join(config) + "\n", ".ssh/config")
        return name

    def name_keys(self, *lines: str) -> None:
        """Write which key answers which host."""
        self._configure(self.keys, *lines)

    def confirm_names(self, *lines: str) -> None:
        """Have it remembered which host calls itself what."""
        self._configure(self.names, *lines)

    def _configure(self, file: Path, *lines: str) -> None:
        for place in (file.parent.parent, file.parent):
            place.mkdir(exist_ok=True)
            self.account.own(place, 0o700)
        self.account.write("".join(f"{line}\n" for line in lines), f".config/trex/{file.name}")

    def answer_with(self, address: str) -> None:
        """Have a key answer every host, beside another that is there."""
        self.name_keys(f"* {self.fingerprint(address)}")

    def fingerprint(self, address: str) -> str:
        """Return that of a key in the keyring."""
        listed = self.account.run("gpg", "--with-colons", "--list-keys", address).decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))

    def allow_service(self, server: Sshd, service: str) -> None:
        """Have it remembered that the server's sshd uses this PAM service."""
        self._configure(self.services, f"[127.0.0.1]:{server.port} {service}")

    def allow_services(self, *lines: str) -> None:
        """The same for servers by name: a host and its service on each line."""
        self._configure(self.services, *lines)

    def run(
        self, *arguments: str, stdin: bytes = b"", environment: dict[str, str] | None = None,
        seconds: float = 180,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a program without a terminal."""
        done = subprocess.run(
            arguments, input=stdin, capture_output=True, check=False, cwd=self.home,
            timeout=seconds, start_new_session=True, env={**self.environment, **(environment or {})},
            user=self.account.uid, group=self.account.gid, extra_groups=[],
        )  # fmt: skip
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program without a terminal, whose output is to be read."""
        return subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=self.home,
            start_new_session=True, env=self.environment, user=self.account.uid,
            group=self.account.gid, extra_groups=[],
        )  # fmt: skip

    def type(
        self, *arguments: str, environment: dict[str, str] | None = None, columns: int = 160
    ) -> pexpect.spawn[str]:
        """Run a program at a pseudo-terminal.

        A program must not set its size itself: pexpect does so once more after its start.
        """
        command = ["--reuid", self.account.name, "--regid", self.account.name, "--clear-groups",
                   *arguments]  # fmt: skip
        return pexpect.spawn(
            "/usr/bin/setpriv", command, cwd=str(self.home), encoding="utf-8", timeout=120,
            env={**self.environment, **(environment or {})}, dimensions=(50, columns),
        )  # fmt: skip

    def make_locked_key(self, address: str) -> bytes:
        """Make a key with PASSPHRASE; return its public part."""
        self._configure_agent()
        self.account.run(
            "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE,
            "--quick-generate-key", address, "future-default", "default", "never",
        )  # fmt: skip
        return self.account.run("gpg", "--export", address)

    def write_pinentry(self, answer: str) -> Path:
        """Write a pinentry that does `answer`, in sh, when it is asked for a passphrase."""
        path = self.account.write(PINENTRY.format(answer=answer), "pinentry")
        path.chmod(0o700)
        return path

    def wait_for(self, name: str) -> None:
        """Wait until a program has made that file in the home."""
        deadline = time.monotonic() + 60
        while not (self.home / name).exists():
            assert time.monotonic() < deadline, f"no {name}"
            time.sleep(0.05)

    def use_pinentry(self, program: Path | str) -> None:
        """Have a new agent, which asks with `program`."""
        self._configure_agent(f"pinentry-program {program}\n")

    def _configure_agent(self, *lines: str) -> None:
        self.account.write("".join([AGENT, *lines]), ".gnupg/gpg-agent.conf")
        self.account.end_daemons()
