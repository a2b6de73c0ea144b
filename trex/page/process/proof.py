"""Check that a key and a certificate can be served, before the prompt announces a page.

This uses `_ssl`: the module `ssl` around it takes 20 ms to import, and the prompt waits.
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
LOCKED_KEY = "the TLS key has a passphrase, which no one can type at a login"
NO_PEM = "the TLS key or the TLS certificate is not in PEM, or damaged"


def prove(key: bytes, certificate: bytes) -> str:
    """Return the SHA-256 fingerprint of the first certificate; both arguments are PEM.

    Raises PageUnavailable with the reason.
    """
    asked = []

    def refuse() -> str:  # otherwise OpenSSL would ask on the terminal
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
    """Load both into a context. Raises SSLError.

    OpenSSL reads only files: these are in memory, and no other process of this account can open
    them, because this process is not dumpable (proc(5)).
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
    """Return the certificate (DER) received by a client that trusts only this certificate.

    So OpenSSL itself checks that it is valid today, and the result is the one that is served.
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
        except _ssl.SSLWantReadError:  # it continues after the other side's message
            continue
    served: bytes = client.getpeercert(True)  # noqa: FBT003 (no keyword argument)
    return served


def _reason(error: _ssl.SSLError) -> str:
    """Return OpenSSL's reason in words; no reason means that it found no PEM."""
    return REASONS.get(error.reason, f"OpenSSL says {error.reason}") if error.reason else NO_PEM
