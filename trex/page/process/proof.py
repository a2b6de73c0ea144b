"""Whether a key and a certificate can be served, found out before the prompt promises a page.

By `_ssl`, which the module `ssl` wraps: that takes 20 ms to load, and the prompt waits for this.
"""

import _ssl
import os
from _hashlib import openssl_sha256

from trex.errors import PageUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

REASONS = {
    "KEY_VALUES_MISMATCH": "the TLS key does not belong to the TLS certificate",
    "EE_KEY_TOO_SMALL": "the TLS key is too short to be safe",
}
LOCKED_KEY = "the TLS key has a passphrase, and nobody is there to type it"
NO_PEM = "the TLS key or the TLS certificate is not in PEM, or damaged"


def prove(key: bytes, certificate: bytes) -> str:
    """Return the SHA-256 fingerprint of the first certificate; both arguments are PEM.

    Raises PageUnavailable with what is wrong.
    """
    asked = []

    def refuse() -> str:  # without it OpenSSL would ask the terminal
        asked.append("passphrase")
        return ""

    try:
        context = _ssl._SSLContext(_ssl.PROTOCOL_TLS_SERVER)
        load(context, key, certificate, refuse)
        served = _shake_hands(context, certificate.decode("ascii", "ignore"))
    except _ssl.SSLCertVerificationError as error:
        raise PageUnavailable(f"the TLS certificate: {error.verify_message}") from None
    except _ssl.SSLError as error:
        raise PageUnavailable(LOCKED_KEY if asked else _reason(error)) from None
    return openssl_sha256(served).digest().hex(":").upper()


def load(
    context: "ssl.SSLContext | _ssl._SSLContext",
    key: bytes,
    certificate: bytes,
    password: "Callable[[], str] | None" = None,
) -> None:
    """Have a context read both. Raises SSLError.

    OpenSSL reads files only: these are in memory, and nobody else of this account can open them,
    because this process is not dumpable any more (proc(5)).
    """
    descriptors = []
    try:
        for content in (certificate, key):
            descriptors.append(os.memfd_create("tls"))
            os.write(descriptors[-1], content)
        first, second = (f"/proc/self/fd/{descriptor}" for descriptor in descriptors)
        context.load_cert_chain(first, second, password)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _shake_hands(context: "_ssl._SSLContext", chain: str) -> bytes:
    """Return the certificate (DER) that a client gets that trusts this one and no authority.

    So OpenSSL itself says whether it is valid today, and what is returned is what is served.
    Raises SSLError.
    """
    trusting = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
    trusting.verify_flags |= _ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(cadata=chain)
    there, back = _ssl.MemoryBIO(), _ssl.MemoryBIO()
    client = trusting._wrap_bio(back, there, server_side=False)  # type: ignore[attr-defined]
    server = context._wrap_bio(there, back, server_side=True)  # type: ignore[attr-defined]
    for side in (client, server, client, server, client):
        try:
            side.do_handshake()
        except _ssl.SSLWantReadError:  # it goes on when the other side has spoken
            continue
    served: bytes = client.getpeercert(True)  # noqa: FBT003 (it takes no keyword)
    return served


def _reason(error: "_ssl.SSLError") -> str:
    """Put OpenSSL's reason into words; with none it means that no PEM was found."""
    return REASONS.get(error.reason, f"OpenSSL says {error.reason}") if error.reason else NO_PEM
