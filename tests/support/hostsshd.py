"""The host's own sshd: with its configuration and PAM service, on a port of the test's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from tests.support.examination import write_ssh_key
from tests.support.sandbox import PLACE
from tests.support.servers import end, free_port, wait_for_port
from tests.support.sshd import PATIENT, SSHD, answering, version

if TYPE_CHECKING:
    from tests.support.keys import Holder
    from tests.support.sandbox import Account


class HostSshd:
    """Whether a user with an SSH key and an OpenPGP key gets in, as the host is now."""

    def __init__(self, holder: Holder) -> None:
        self.directory = Path(mkdtemp(prefix="host-sshd-", dir=PLACE))
        self.directory.chmod(0o755)
        self.key = self.directory / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.public = Path(f"{self.key}.pub").read_text()
        self.shown = self.directory / "prompt"
        self.askpass = answering(self.directory, holder, self.shown)

    def give_key(self, user: Account) -> None:
        """Let the user's SSH key be accepted."""
        write_ssh_key(user, self.public)

    def lets_in(self, user: Account) -> bool:
        """Log in with both keys, through a server that starts now."""
        return self._log_in(user).returncode == 0

    def asks(self, user: Account) -> bool:
        """Return whether a login that succeeds was asked by Trex."""
        self.shown.write_text("")
        assert self.lets_in(user)
        return "BEGIN PGP MESSAGE" in self.shown.read_text()

    def _log_in(self, user: Account) -> subprocess.CompletedProcess[str]:
        port, log = free_port(), self.directory / "log"
        options = ["-o", PATIENT] if version() >= (9, 8) else []
        server = subprocess.Popen(
            [SSHD, "-D", "-p", str(port), "-o", "ListenAddress=127.0.0.1", "-o", "PidFile=none",
             *options, "-E", log]
        )  # fmt: skip
        try:
            wait_for_port(port, server, log.read_text)
            return subprocess.run(
                ["ssh", "-F", "none", "-p", str(port), "-o", "StrictHostKeyChecking=no",
                 "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                 "-o", "NumberOfPasswordPrompts=1", "-o", "IdentitiesOnly=yes", "-i", self.key,
                 f"{user.name}@127.0.0.1", "true"],
                capture_output=True, text=True, check=False, timeout=180, stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory), "LC_ALL": "C.UTF-8",
                     "SSH_ASKPASS": str(self.askpass), "SSH_ASKPASS_REQUIRE": "force"},
            )  # fmt: skip
        finally:
            end(server)
