"""A self-signed certificate for one login, verified by its fingerprint at the prompt."""

import fcntl
import ipaddress
import os
import socket
import struct
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CLOCK_SKEW = timedelta(minutes=1)
MAX_COMMON_NAME = 64  # RFC 5280, appendix A.1, ub-common-name
SIOCGIFADDR = 0x8915  # netdevice(7)
REQUEST = "16s24x"  # a struct ifreq: a name, then a struct sockaddr_in
ADDRESS = slice(20, 24)


def make_certificate(host: str, seconds: float) -> bytes:
    """Return a certificate for `host` and this host's names and addresses, followed by its key.

    Both are PEM, P-256; valid for `seconds` from now, and from a minute ago for slow clocks.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:MAX_COMMON_NAME])]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(seconds=seconds))
        .add_extension(x509.SubjectAlternativeName(_alternatives(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _alternatives(host: str) -> list[x509.GeneralName]:
    """Return the names and addresses by which a browser may reach the page."""
    addresses = dict.fromkeys([*_ipv4_addresses(), *_ipv6_addresses()])
    names = dict.fromkeys([os.uname().nodename])
    try:
        addresses = dict.fromkeys([ipaddress.ip_address(host), *addresses])
    except ValueError:
        names = dict.fromkeys([host, *names])
    return [*map(x509.DNSName, filter(str.isascii, names)), *map(x509.IPAddress, addresses)]


def _ipv4_addresses() -> list[Address]:
    """Return the first IPv4 address of each interface."""
    found: list[Address] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack(REQUEST, name.encode()))
            except OSError:  # an interface without one
                continue
            found.append(ipaddress.IPv4Address(answer[ADDRESS]))
    return found


def _ipv6_addresses() -> list[Address]:
    """Return the IPv6 addresses that are not link-local, which no browser accepts in a URL."""
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as table:
            found = [ipaddress.IPv6Address(bytes.fromhex(line.split()[0])) for line in table]
    except OSError:  # a host without IPv6
        return []
    return [address for address in found if not address.is_link_local]
