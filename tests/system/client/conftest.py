"""A person at home with keys and the `trex` command, and servers to log in to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.client import Client
from tests.support.hostile import Hostile
from tests.support.session import set_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

HOSTS = Path("/etc/hosts")  # the sandbox's own


@pytest.fixture
def laptop(account: Callable[[str], Account], holder: Holder, keys: Keys) -> Iterator[Client]:
    """A client with alice's secret key and its own agent."""
    client = Client(account("laptop"))
    client.account.import_keys(holder.secret(keys["cv25519"]))
    yield client
    client.account.run("gpgconf", "--kill", "all")


@pytest.fixture
def prepared(laptop: Client) -> Client:
    """A client that has run `trex setup`, and uses each shell."""
    (laptop.home / ".zshrc").touch()
    (laptop.home / ".config/fish").mkdir(parents=True)
    laptop.account.run("true")
    for path in (laptop.home / ".config", laptop.home / ".config/fish", laptop.home / ".zshrc"):
        laptop.account.own(path, 0o755)
    assert set_up(laptop).returncode == 0
    return laptop


@pytest.fixture
def to(keys: Keys) -> str:
    """The key that challenges are encrypted to: alice's."""
    return keys["cv25519"]


@pytest.fixture
def signer(laptop: Client, holder: Holder, keys: Keys) -> str:
    """The server's signing key; the client has it, and another one."""
    laptop.account.import_keys(holder.public(keys["signing"], keys["signing-other"]))
    return keys["signing"]


@pytest.fixture
def sshd(sshd: Callable[..., Sshd]) -> Iterator[Callable[..., Sshd]]:
    """Start servers with the PAM service `sshd`, as on every host, unless the test sets another."""
    kept = sandbox.PAM_SERVICES / "sshd"
    content = kept.read_bytes() if kept.exists() else b""

    def start(
        *arguments: str, service: str = "", methods: str = "keyboard-interactive", port: int = 0
    ) -> Sshd:
        service = service or sandbox.trex_service("sshd", *arguments)
        return sshd(service=service, methods=methods, port=port)

    yield start
    kept.write_bytes(content)


@pytest.fixture
def name(alice: Account, laptop: Client, sshd: Callable[..., Sshd]) -> str:
    """Return what to give to ssh for a server that alice can log in to."""
    return laptop.knows(sshd())


@pytest.fixture
def hostile(account: Callable[[str], Account], sshd: Callable[..., Sshd]) -> Hostile:
    """A server that asks whatever it likes, and lets nobody in."""
    return Hostile(sshd, account("alice"))


@pytest.fixture
def server(alice: Account, laptop: Client, sshd: Callable[..., Sshd]) -> Iterator[Sshd]:
    """`server.example.org`, on port 22, with the README's methods; the client logged in there before.

    A client without an SSH key gets the challenge at once.
    """
    either = "publickey,keyboard-interactive:pam keyboard-interactive:pam"
    running = sshd(methods=either, port=22)
    hosts = ("server.example.org", "jump.example.org")
    kept = HOSTS.read_bytes()
    HOSTS.write_bytes(kept + f"\n127.0.0.1 {' '.join(hosts)}\n".encode())
    key = (running.directory / "host_key.pub").read_text().rsplit(" ", 1)[0]
    laptop.account.write("".join(f"{host} {key}\n" for host in hosts), ".ssh/known_hosts")
    laptop.account.write((running.directory / "client_key").read_bytes(), ".ssh/id_ed25519")
    laptop.confirm_names(*(f"alice@{host} alice@{os.uname().nodename}" for host in hosts))
    yield running
    HOSTS.write_bytes(kept)
