"""Keys and certificates for the page, sound and broken ones."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.page import make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

# An openssl.cnf with which all that OpenSSL can do is allowed.
PERMISSIVE = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = permissive
[permissive]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
Options = UnsafeLegacyRenegotiation
"""


def issue_chain(directory: Path, length: int) -> None:
    """Write 0.pem (an authority), chain.pem (leaf first, without the authority) and leaf.key."""
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"level {n}")])
             for n in range(length + 1)]  # fmt: skip
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in names]
    chain = []
    for level, name in enumerate(names):
        issuer = max(0, level - 1)
        chain.append(
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[issuer])
            .public_key(keys[level].public_key())
            .serial_number(level + 1)
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(
                x509.BasicConstraints(ca=level < length, path_length=None), critical=True
            )
            .sign(keys[issuer], hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
    (directory / "0.pem").write_bytes(chain[0])
    (directory / "chain.pem").write_bytes(b"".join(reversed(chain[1:])))
    (directory / "leaf.key").write_bytes(
        keys[-1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def write_dated(alice: Account, first: int, last: int, host: str = "page.example.org") -> None:
    """Write a pair for `host` that is valid from `first` to `last`, in days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) + timedelta(days=first))
        .not_valid_after(datetime.now(UTC) + timedelta(days=last))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    alice.write(certificate.public_bytes(serialization.Encoding.PEM), "page.pem")
    alice.write(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        "page.key",
    )


def pair(alice: Account, name: str, *kind: str) -> tuple[Path, Path]:
    """Make a key and a certificate of a user's own in the home; return their paths."""
    key, certificate = make_certificate(alice.home, name, *kind)
    alice.own(key, 0o600)
    alice.own(certificate, 0o644)
    return key, certificate


def other_key(alice: Account) -> None:
    pair(alice, "page")
    pair(alice, "other")[0].rename(alice.home / "page.key")


def expired(alice: Account) -> None:
    write_dated(alice, -20, -10)


def too_early(alice: Account) -> None:
    write_dated(alice, 10, 20)


def with_passphrase(alice: Account) -> None:
    pair(alice, "page", "-newkey", "rsa:2048", "-passout", "pass:secret")


def no_key(alice: Account) -> None:
    pair(alice, "page")[0].unlink()


def no_certificate(alice: Account) -> None:
    pair(alice, "page")[1].unlink()


def no_pem(alice: Account) -> None:
    pair(alice, "page")[1].write_bytes(b"\0\xff not PEM")


def swapped(alice: Account) -> None:
    key, certificate = pair(alice, "page")
    key.rename(alice.home / "x")
    certificate.rename(key)
    (alice.home / "x").rename(certificate)


def truncated(alice: Account) -> None:
    key = pair(alice, "page")[0]
    key.write_bytes(key.read_bytes()[:100])


def short_key(alice: Account) -> None:
    pair(alice, "page", "-newkey", "rsa:1024", "-noenc")


def a_directory(alice: Account) -> None:
    pair(alice, "page")[0].unlink()
    (alice.home / "page.key").mkdir()


def a_fifo(alice: Account) -> None:
    pair(alice, "page")[0].unlink()
    os.mkfifo(alice.home / "page.key")
    alice.own(alice.home / "page.key", 0o600)


def huge(alice: Account) -> None:
    pair(alice, "page")[1].write_bytes(b"#" * (1 << 20))


def not_hers(alice: Account) -> None:
    os.chown(pair(alice, "page")[0], 0, 0)


def writable_by_all(alice: Account) -> None:
    pair(alice, "page")[0].chmod(0o602)


# What the log says of each.
BROKEN: dict[str, Callable[[Account], None]] = {
    "does not belong to": other_key,
    "certificate has expired": expired,
    "certificate is not yet valid": too_early,
    "has a passphrase": with_passphrase,
    "page.key: No such file": no_key,
    "page.pem: No such file": no_certificate,
    "is not in PEM": no_pem,
    "not in PEM, or": swapped,
    "or damaged": truncated,
    "too short": short_key,
    "page.key: expected a regular": a_directory,
    "expected a regular file": a_fifo,
    "at most 64 KiB": huge,
    "page.key: Permission denied": not_hers,
    "found mode 0602": writable_by_all,
}
