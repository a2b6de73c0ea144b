"""The page's TLS: what is served, and what is not."""

from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.network import read_all
from tests.support.page import UNAVAILABLE, answer_to, fingerprint, make_certificate
from tests.support.tls import BROKEN, PERMISSIVE, issue_chain, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

    WithPage = Callable[..., Account]
    Prompt = Callable[..., OpenPrompt]


def test_the_fingerprint_shown_is_the_one_served(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrAuthTls")
    shown = prompt("alice", arguments=("web_host=page.example.org",)).shown
    served = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{shown.port}", "-showcerts"],
        input=b"", capture_output=True, check=False,
    ).stdout  # fmt: skip
    described = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-text"],
        input=served, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    assert f"Fingerprint={shown.fingerprint}" in described
    assert "DNS:page.example.org" in described
    assert f"DNS:{os.uname().nodename}" in described
    assert "IP Address:127.0.0.1" in described
    assert "NIST CURVE: P-256" in described
    assert "TLS Web Server Authentication" in described


def test_a_made_certificate_holds_for_the_login_only(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthTls")
    shown = prompt("alice", arguments=("timeout=300",)).shown
    with shown.connect_tls() as visitor:
        der = visitor.getpeercert(binary_form=True) or b""
    printed = subprocess.run(
        ["openssl", "x509", "-inform", "der", "-noout", "-dates"],
        input=der, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    first, last = (
        ssl.cert_time_to_seconds(line.partition("=")[2]) for line in printed.splitlines()
    )
    assert 300 <= last - first <= 420


@pytest.fixture
def permissive_openssl() -> Iterator[None]:
    """A host whose openssl.cnf allows everything, for old clients of another service."""
    path = Path("/etc/ssl/openssl.cnf")
    kept = path.read_bytes()
    path.write_text(PERMISSIVE)
    yield
    path.write_bytes(kept)


@pytest.mark.parametrize(
    ("version", "accepted"),
    [(ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False),
     (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_protocol_versions(
    version: ssl.TLSVersion, accepted: bool, with_page: WithPage, prompt: Prompt,
    permissive_openssl: None,
) -> None:  # fmt: skip
    with_page("webQrNoAuthTls")
    shown = prompt("alice").shown
    names = {ssl.TLSVersion.TLSv1: "tls1", ssl.TLSVersion.TLSv1_1: "tls1_1",
             ssl.TLSVersion.TLSv1_2: "tls1_2", ssl.TLSVersion.TLSv1_3: "tls1_3"}  # fmt: skip
    # openssl's lowest security level: the server has to refuse.
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{shown.port}", f"-{names[version]}",
         "-cipher", "ALL@SECLEVEL=0"],
        input=b"", capture_output=True, check=False,
    )  # fmt: skip
    assert (b"Cipher is (NONE)" not in done.stdout and b"BEGIN CERT" in done.stdout) == accepted


def test_plain_http_to_a_tls_port_gets_nothing(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthTls")
    shown = prompt("alice").shown
    with shown.connect() as visitor:
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/1" not in read_all(visitor)
    assert "200 OK" in shown.get()


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-noenc")
RSA = ("-newkey", "rsa:2048", "-noenc")
LENGTH = 40  # certificates in a chain


@pytest.mark.parametrize("kind", [EC, RSA])
def test_the_user_s_own_certificate(
    kind: tuple[str, ...], with_page: WithPage, prompt: Prompt, log: Log
) -> None:
    alice = with_page("webQrNoAuthTls", "page.key", "page.pem")
    _, certificate = pair(alice, "page", *kind)
    shown = prompt("alice").shown
    assert shown.fingerprint == fingerprint(certificate)
    assert "200 OK" in shown.get()
    with shown.connect_tls() as visitor:
        assert visitor.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(
            certificate.read_text()
        )
    assert not log.trex("warn")


def test_links_are_followed_and_absolute_paths_taken(
    with_page: WithPage, prompt: Prompt, place: Path
) -> None:
    """Certbot keeps links to its newest files."""
    archive = place / "archive"
    archive.mkdir()
    key, certificate = make_certificate(archive)
    alice = with_page("webQrNoAuthTls", "live.key", f"{certificate}")
    alice.own(key, 0o600)
    (alice.home / "live.key").symlink_to(key)
    assert prompt("alice").shown.fingerprint == fingerprint(certificate)


def test_a_chain_of_any_length_is_served(with_page: WithPage, prompt: Prompt, place: Path) -> None:
    """The C++ trex-pam read 2,000 bytes of a PEM file: this one has more than 16 kB."""
    directory = place / "chain"
    directory.mkdir()
    issue_chain(directory, LENGTH)
    assert (directory / "chain.pem").stat().st_size > 16 * 1024
    alice = with_page("webQrNoAuthTls", "leaf.key", "chain.pem")
    for name in ("leaf.key", "chain.pem"):
        alice.write((directory / name).read_bytes(), name)
    shown = prompt("alice").shown
    assert shown.fingerprint == fingerprint(directory / "chain.pem"), "the leaf's"
    served = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{shown.port}", "-showcerts",
         "-CAfile", directory / "0.pem", "-verify_return_error"],
        input=b"", capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert served.count(b"BEGIN CERTIFICATE") == LENGTH
    assert b"Verify return code: 0 (ok)" in served


@pytest.mark.parametrize(
    "reason",
    BROKEN,
)
def test_without_tls_that_can_be_trusted_there_is_no_page_and_the_text_still_does(
    reason: str, with_page: WithPage, prompt: Prompt, holder: Holder, log: Log
) -> None:
    alice = with_page("webQrAuthTls", "page.key", "page.pem")
    BROKEN[reason](alice)
    before = sandbox.listening_ports()
    login = prompt("alice")
    assert login.shown.about.startswith(UNAVAILABLE)
    assert not login.shown.url
    assert sandbox.listening_ports() == before
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"
    (warning,) = log.trex("no page with a QR code")
    assert reason in warning
    assert "<84>" in warning, "a warning"


def test_a_key_that_everybody_can_read_is_warned_of(
    with_page: WithPage, prompt: Prompt, log: Log
) -> None:
    alice = with_page("webQrNoAuthTls", "page.key", "page.pem")
    key, _ = pair(alice, "page")
    key.chmod(0o640)
    assert prompt("alice").shown.url
    assert not log.trex("can be read by everyone")
    key.chmod(0o644)
    assert prompt("alice").shown.url
    assert log.trex("this TLS key can be read by everyone")


def test_what_openssl_calls_trusted_is_no_plain_certificate(
    with_page: WithPage, prompt: Prompt, log: Log
) -> None:
    alice = with_page("webQrNoAuthTls", "page.key", "page.pem")
    _, certificate = pair(alice, "page")
    trusted = certificate.read_text().replace("CERTIFICATE", "TRUSTED CERTIFICATE")
    alice.write(trusted, "page.pem")
    assert prompt("alice").shown.about.startswith(UNAVAILABLE)
    assert "did not get ready" not in log.trex("no page with a QR code")[0]


def test_in_central_mode_the_account_that_reads_the_record_reads_the_tls_files_too(
    with_page: WithPage, prompt: Prompt, account: Callable[[str], Account], holder: Holder,
    keys: Keys, log: Log,
) -> None:  # fmt: skip
    reader = account("reader")
    reader.import_keys(holder.public(keys["cv25519"]))
    files = pair(reader, "page")
    reader.write(f"{keys['cv25519']} trust nosign webQrNoAuthTls {files[0]} {files[1]}\n")
    arguments = (f"auth_file={reader.record}", f"gnupg_home={reader.gnupg}", "run_as=reader")
    with_page("webQrNoAuthNoTls")
    assert prompt("alice", arguments=arguments).shown.fingerprint == fingerprint(files[1])
    login = prompt("alice", arguments=(*arguments, "web_user=reader"))
    assert login.shown.about.startswith(UNAVAILABLE)
    assert log.trex("web_user=reader must be neither root nor the user who logs in")
