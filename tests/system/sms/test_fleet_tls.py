"""A fleet's Redis over TLS: the certificate's name is checked, not only its issuer."""

from __future__ import annotations

import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.gateways import TOKEN, Authority
from trex.sms.errors import StateUnusable
from trex.sms.fleet import RedisCounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Redis that has a certificate for `localhost`; yield port, path and CA of its URL."""
    directory: Path = tmp_path_factory.mktemp("redis")
    authority = Authority(directory / "authority")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port), "--save", "",
         "--requirepass", TOKEN, "--dir", directory, "--tls-cert-file", authority.certificate,
         "--tls-key-file", authority.key, "--tls-ca-cert-file", authority.ca,
         "--tls-auth-clients", "no"], stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(port)
    yield f"{port}/0?ssl_ca_certs={authority.ca}"
    server.terminate()
    server.wait(10)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_a_certificate_for_the_host_is_trusted(where: str) -> None:
    counts = RedisCounts(f"rediss://:{TOKEN}@localhost:{where}")
    assert [counts.claim("code", "a"), counts.claim("code", "b")] == [True, False]


def test_a_certificate_for_another_host_is_not(where: str) -> None:
    with pytest.raises(StateUnusable, match="Redis cannot be asked: ConnectionError"):
        RedisCounts(f"rediss://:{TOKEN}@127.0.0.1:{where}").claim("another", "a")


def test_a_certificate_of_an_unknown_authority_is_not(where: str) -> None:
    port, _, _ = where.partition("?")
    with pytest.raises(StateUnusable, match="Redis cannot be asked: ConnectionError"):
        RedisCounts(f"rediss://:{TOKEN}@localhost:{port}").claim("another", "a")
