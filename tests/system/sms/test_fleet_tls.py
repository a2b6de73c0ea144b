"""A fleet's Redis over TLS: the certificate's name is checked, not only its issuer."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.gateways import TOKEN, Authority
from tests.support.servers import end, free_port, wait_for_port
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
    port = free_port()
    server = subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port), "--save", "",
         "--requirepass", TOKEN, "--dir", directory, "--tls-cert-file", authority.certificate,
         "--tls-key-file", authority.key, "--tls-ca-cert-file", authority.ca,
         "--tls-auth-clients", "no"], stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for_port(port, server)
    yield f"{port}/0?ssl_ca_certs={authority.ca}"
    end(server)


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
