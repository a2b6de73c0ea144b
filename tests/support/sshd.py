"""A real sshd on a loopback port, and the real ssh client."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from tests.support.sandbox import PLACE
from tests.support.servers import end, free_port, wait_for_port

if TYPE_CHECKING:
    from tests.support.keys import Holder

SSHD = "/usr/sbin/sshd"
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
PidFile none
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication no
PubkeyAuthentication {publickey}
AuthorizedKeysFile {directory}/authorized_keys
AuthenticationMethods {methods}
LoginGraceTime {grace}
MaxStartups {startups}
MaxAuthTries 6
StrictModes no
UseDNS no
PrintMotd no
LogLevel VERBOSE
Subsystem sftp internal-sftp
{service}
"""
# From 9.8 on, too, and the tests come from one address that fails again and again.
PATIENT = "PerSourcePenalties no"


class Sshd:
    """sshd with a PAM service of its own: by its program's name, or from 9.8 on by an option."""

    def __init__(
        self,
        service: str,
        methods: str = "keyboard-interactive",
        grace: int = 600,
        startups: str = "200",
        port: int = 0,
        keys_of: Sshd | None = None,
        certified_as: str = "",
        more: str = "",
    ) -> None:
        """Start it.

        `keys_of` is a server that has the same host key. With `certified_as`, a host's name, the
        client's key is the authority that has signed the host key. `more` is the end of its
        configuration, such as a Match block.
        """
        self.directory = Path(mkdtemp(prefix=f"sshd-{service}-", dir=PLACE))
        self.directory.chmod(0o755)
        self.port = port or free_port()
        if keys_of:
            for name in ("host_key", "host_key.pub"):
                shutil.copy(keys_of.directory / name, self.directory / name)
        else:
            self._ssh_keygen("host_key")
        self._ssh_keygen("client_key")
        public = (self.directory / "client_key.pub").read_bytes()
        (self.directory / "authorized_keys").write_bytes(public)
        by_option = version() >= (9, 8)
        program = SSHD
        if not by_option:
            program = str(self.directory / service)
            os.symlink(SSHD, program)
        config = self.directory / "sshd_config"
        config.write_text(
            CONFIG.format(
                port=self.port, directory=self.directory, methods=methods, grace=grace,
                startups=startups,
                publickey="yes" if "publickey" in methods else "no",
                service=f"PAMServiceName {service}\n{PATIENT}" if by_option else "",
            )
            + (self._certify(certified_as) if certified_as else "")
            + more
        )  # fmt: skip
        self.log = self.directory / "sshd.log"
        self.process = subprocess.Popen([program, "-D", "-f", config, "-E", self.log])
        wait_for_port(self.port, self.process, self.log.read_text)

    @property
    def public_key(self) -> str:
        """The public host key, as type and base64."""
        return (self.directory / "host_key.pub").read_text().rsplit(" ", 1)[0]

    def _ssh_keygen(self, name: str) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / name],
                       check=True)  # fmt: skip

    def _certify(self, host: str) -> str:
        """Make a certificate of the host key, and return the line for it."""
        subprocess.run(["ssh-keygen", "-q", "-s", "client_key", "-h", "-I", "x", "-n", host,
                        "host_key.pub"], cwd=self.directory, check=True)  # fmt: skip
        return f"HostCertificate {self.directory}/host_key-cert.pub\n"

    def command(self, user: str, *options: str, methods: str = "keyboard-interactive") -> list[str]:
        """Return the ssh command line that logs `user` in, without what to run there."""
        return [
            "ssh", "-F", "none", "-p", str(self.port), "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", f"PreferredAuthentications={methods}", "-o", "NumberOfPasswordPrompts=1",
            "-o", "IdentitiesOnly=yes", "-i", str(self.directory / "client_key"),
            *options, f"{user}@127.0.0.1",
        ]  # fmt: skip

    def log_in(self, user: str, askpass: Path, run: str = "echo logged in as $(id -un)",
               methods: str = "keyboard-interactive", seconds: float = 180,
               ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Log in through ssh; `askpass` answers."""
        return subprocess.run(
            [*self.command(user, methods=methods), run], capture_output=True, text=True,
            check=False, timeout=seconds, stdin=subprocess.DEVNULL, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory), "LC_ALL": "C.UTF-8",
                 "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"},
        )  # fmt: skip

    def close(self) -> None:
        """End the server."""
        end(self.process)


def version() -> tuple[int, int]:
    """Return OpenSSH's version."""
    text = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", text)
    assert found
    return int(found[1]), int(found[2])


def answering(directory: Path, holder: Holder, shown: Path) -> Path:
    """Return an askpass program that decrypts the prompt that ssh hands it, and keeps it."""
    path = directory / "askpass"
    path.write_text(f'#!/bin/sh\nprintf %s "$1" > {shown}\nprintf %s "$1" | {holder.command()}\n')
    path.chmod(0o755)
    return path


def saying(directory: Path, answer: str) -> Path:
    """Return an askpass program that always says the same."""
    path = directory / f"askpass-{abs(hash(answer))}"
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path
