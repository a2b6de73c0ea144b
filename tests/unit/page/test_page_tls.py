"""The page's certificate, its check, and the TLS context that serves it."""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.forked import in_a_child
from tests.support.network import enter_network
from tests.support.page import fingerprint, make_certificate
from tests.support.tls import PERMISSIVE, issue_chain
from trex.errors import PageUnavailable
from trex.page.process import certificate, proof
from trex.page.process.certificate import make_certificate as make_login_certificate
from trex.page.process.proof import prove
from trex.page.process.server import make_context

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = timedelta(minutes=1)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def made(host: str, seconds: float = 300) -> x509.Certificate:
    return x509.load_pem_x509_certificate(make_login_certificate(host, seconds))


def split(both: bytes) -> tuple[bytes, bytes]:
    """Return key and certificate."""
    pem, begin, key = both.partition(b"-----BEGIN PRIVATE KEY-----")
    return begin + key, pem


@pytest.mark.filterwarnings("ignore:Properties that return a na")  # Debian 12 has only these
def test_a_certificate_holds_for_one_login_and_can_vouch_for_no_other() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    one, other = made("page.example.org"), made("page.example.org")
    after = datetime.now(UTC)
    begins, ends = (
        moment.replace(tzinfo=UTC) for moment in (one.not_valid_before, one.not_valid_after)
    )
    assert before - MINUTE <= begins <= after - MINUTE
    assert before + 5 * MINUTE <= ends <= after + 5 * MINUTE
    constraints = one.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.critical) == (False, True)
    usage = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usage.value) == [x509.OID_SERVER_AUTH]
    assert not usage.critical
    assert isinstance(one.signature_hash_algorithm, hashes.SHA256)
    key = one.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert one.serial_number != other.serial_number
    assert key.public_numbers() != other.public_key().public_numbers()  # type: ignore[union-attr]
    assert prove(*split(make_login_certificate("x", 60)))


def test_a_long_name_is_cut_where_a_certificate_has_no_room_and_whole_where_it_has() -> None:
    host = "a" * 60 + "." + "b" * 60
    long = made(host)
    [name] = long.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert name.value == host[:64]
    assert long.subject == long.issuer
    assert host in names_of(long)


def names_of(one: x509.Certificate) -> list[object]:
    names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert not names.critical
    return [name.value for name in names.value]


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of one's own is root's")
def test_a_certificate_names_what_may_be_in_the_address_bar() -> None:
    """All of this host's, each once, except those that no browser accepts in a URL."""
    node = os.uname().nodename

    def look() -> list[list[str]]:
        enter_network("192.0.2.7/24", "2001:db8::7/64", "fe80::7/64")
        hosts = (
            "page.example.org",
            node,
            "192.0.2.7",
            "203.0.113.9",
            "2001:db8::7",
            "k\u00e4se.example",
        )
        return [[str(name) for name in names_of(made(host))] for host in hosts]

    here = ["127.0.0.1", "::1", "2001:db8::7"]  # one IPv4 address of an interface (netdevice(7))
    expected = [["page.example.org", node, *here], [node, *here], [node, "192.0.2.7", *here],
                [node, "203.0.113.9", *here], [node, *here], [node, *here]]  # fmt: skip
    found = in_a_child(look)
    assert [sorted(names) for names in found] == [sorted(names) for names in expected]
    assert found[0][0] == "page.example.org"


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of one's own is root's")
def test_addresses_of_a_host_without_ipv6_and_of_a_bare_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look() -> list[list[object]]:
        enter_network()
        subprocess.run(["ip", "address", "flush", "dev", "lo"], check=True)
        return [list(certificate._ipv4_addresses()), list(certificate._ipv6_addresses())]

    assert in_a_child(look) == [[], []]
    found = certificate._ipv4_addresses()
    assert ipaddress.IPv4Address("127.0.0.1") in found
    monkeypatch.setattr("builtins.open", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    assert certificate._ipv6_addresses() == []


def test_what_is_proved_is_the_fingerprint_of_the_first_certificate(tmp_path: Path) -> None:
    key, pem = make_certificate(tmp_path)
    _, another = make_certificate(tmp_path, "another")
    chain = pem.read_bytes() + another.read_bytes()
    before = os.listdir("/proc/self/fd")
    assert prove(key.read_bytes(), chain) == fingerprint(pem)
    assert os.listdir("/proc/self/fd") == before


def test_a_chain_is_proved_without_its_authority(tmp_path: Path) -> None:
    """Which a server does not send: the leaf is trusted by itself."""
    issue_chain(tmp_path, 3)
    chain = (tmp_path / "chain.pem").read_bytes()
    assert prove((tmp_path / "leaf.key").read_bytes(), chain) == fingerprint(tmp_path / "chain.pem")


@pytest.mark.parametrize(
    ("options", "reason"),
    [(("-newkey", "rsa:2048", "-passout", "pass:x"), proof.LOCKED_KEY),
     (("-newkey", "rsa:1024", "-noenc"), "the TLS key is too short to be safe")],
)  # fmt: skip
def test_a_key_that_cannot_be_served_is_refused(
    tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    """Without a question on the terminal, where OpenSSL would ask for a passphrase."""
    key, pem = make_certificate(tmp_path, "page", *options)
    with pytest.raises(PageUnavailable) as caught:
        prove(key.read_bytes(), pem.read_bytes())
    assert str(caught.value) == reason


def test_what_is_no_pair_is_refused(tmp_path: Path) -> None:
    key, pem = (path.read_bytes() for path in make_certificate(tmp_path))
    another, _ = (path.read_bytes() for path in make_certificate(tmp_path, "another"))
    for wrong, reason in (
        ((another, pem), "the TLS key does not belong to the TLS certificate"),
        ((pem, key), proof.NO_PEM), ((key, b""), proof.NO_PEM), ((b"\xff", b"\xff"), proof.NO_PEM),
    ):  # fmt: skip
        with pytest.raises(PageUnavailable) as caught:
            prove(*wrong)
        assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("days", "reason"),
    [((-20, -10), "the TLS certificate: certificate has expired"),
     ((10, 20), "the TLS certificate: certificate is not yet valid")],
)  # fmt: skip
def test_a_certificate_that_is_not_valid_today_is_refused(
    days: tuple[int, int], reason: str
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    first, last = (datetime.now(UTC) + timedelta(days=day) for day in days)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(first).not_valid_after(last).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(PageUnavailable) as caught:
        prove(pem, signed.public_bytes(serialization.Encoding.PEM))
    assert str(caught.value) == reason


HANDSHAKES = """\
import json, ssl, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {root!r})
from trex.page.process.server import make_context
with open({key!r}, "rb") as key, open({pem!r}, "rb") as pem:
    server = make_context(key.read(), pem.read())

def shake(version):
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.minimum_version = client.maximum_version = version
    client.set_alpn_protocols(["h2", "http/1.1"])
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(back, there)
    sides = one, server.wrap_bio(there, back, server_side=True)
    try:
        for _ in range(4):
            for side in sides:
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        try:
            one.read()  # tickets come after TLS 1.3's handshake
        except ssl.SSLWantReadError:
            pass
    except ssl.SSLError as error:
        return error.reason
    return [one.version(), one.selected_alpn_protocol(), bool(one.session and one.session.has_ticket)]

V = ssl.TLSVersion
print(json.dumps([shake(v) for v in (V.TLSv1, V.TLSv1_1, V.TLSv1_2, V.TLSv1_3)]))
"""


def test_old_versions_of_tls_are_refused_whatever_the_host_s_settings_allow(tmp_path: Path) -> None:
    """Debian's openssl.cnf refuses them, too; here both sides use one that does not."""
    key, pem = map(str, make_certificate(tmp_path))
    settings = tmp_path / "openssl.cnf"
    settings.write_text(PERMISSIVE)
    told = subprocess.run(
        [sys.executable, "-c", HANDSHAKES.format(root=ROOT, key=key, pem=pem)],
        env={"OPENSSL_CONF": str(settings)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert json.loads(told) == [
        "UNSUPPORTED_PROTOCOL", "UNSUPPORTED_PROTOCOL",
        ["TLSv1.2", "http/1.1", False], ["TLSv1.3", "http/1.1", False],
    ]  # fmt: skip


def test_the_context_resumes_and_renegotiates_nothing(tmp_path: Path) -> None:
    key, pem = (path.read_bytes() for path in make_certificate(tmp_path))
    context = make_context(key, pem)
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_TICKET
    assert context.num_tickets == 0
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
