"""vsftpd: it sends a password, and its handler for SIGCHLD waits until a child of its own ends."""

from __future__ import annotations

import ftplib
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, text
from tests.support.servers import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Log

pytestmark = pytest.mark.usefixtures("door")
CONFIG = """\
listen=YES
listen_ipv6=NO
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=NO
local_enable=YES
pam_service_name={service}
secure_chroot_dir={empty}
delay_failed_login=0
isolate=NO
isolate_network=NO
seccomp_sandbox=NO
"""
PATIENCE = 60  # seconds; libpam's delay after a refusal is two


class Vsftpd:
    """A server on loopback with its own PAM service."""

    def __init__(self, directory: Path, service: str) -> None:
        empty = directory / "empty"
        empty.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        config = directory / "vsftpd.conf"
        config.write_text(CONFIG.format(port=self.port, service=service, empty=empty))
        self._process = subprocess.Popen(["vsftpd", config])
        deadline = time.monotonic() + 60
        while self.port not in sandbox.listening_ports():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def log_in(self, user: str, *passwords: str) -> list[str]:
        """Return what the server says to each attempt in one connection."""
        with ftplib.FTP(timeout=PATIENCE) as client:  # noqa: S321 (on loopback, to vsftpd)
            client.connect("127.0.0.1", self.port)
            return [self._try(client, user, password) for password in passwords]

    def _try(self, client: ftplib.FTP, user: str, password: str) -> str:
        try:
            return client.login(user, password)[:3]
        except ftplib.error_perm as refusal:
            return str(refusal)[:3]

    def close(self) -> None:
        """End it."""
        end(self._process)


@pytest.fixture
def vsftpd(place: Path, service: Callable[..., str]) -> Iterator[Callable[..., Vsftpd]]:
    """Start servers, `vsftpd("method=totp")`."""
    servers = []

    def start(*arguments: str) -> Vsftpd:
        name = service(*arguments)
        servers.append(Vsftpd(place / f"vsftpd-{name}", name))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_vsftpd_refuses_in_time_whoever_comes(
    alice: Account, bob: Account, vsftpd: Callable[..., Vsftpd], log: Log
) -> None:
    """gpg was run for alice, and vsftpd then waited for a child that lived: each time two processes.

    It shows no prompt with echo: only `method=totp` can let anybody in there.
    """
    server = vsftpd()
    for user in ("alice", "bob", "nobody-of-that-name"):
        assert server.log_in(user, "a password", "another") == ["530", "530"]
    assert len(log.trex(": the conversation failed: user=alice ")) == 2
    assert len(log.trex(" keys=")) == 6


def test_a_code_is_what_vsftpd_can_send(
    bob: Account, vsftpd: Callable[..., Vsftpd], log: Log
) -> None:
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    server = vsftpd("method=totp")
    assert server.log_in("bob", "00000000", "12345678") == ["530", "230"], log.everything()
    assert server.log_in("bob", "12345678") == ["530"]
