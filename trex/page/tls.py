"""TLS for the page: with the user's key and certificate, or with ones made for this login.

Whatever cannot be served is found here, before the prompt promises a page.
"""

import os
import ssl
from contextlib import contextmanager
from hashlib import sha256

from trex.errors import PageUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.page.aside import Aside

KEY_FD, CERTIFICATE_FD = 6, 7  # see trex.webqr
BEGIN_KEY = b"-----BEGIN PRIVATE KEY-----"
REASONS = {
    "KEY_VALUES_MISMATCH": "the TLS key does not belong to the TLS certificate",
    "EE_KEY_TOO_SMALL": "the TLS key is too short to be safe",
}
LOCKED_KEY = "the TLS key has a passphrase, and nobody is there to type it"
NO_PEM = "the TLS key or the TLS certificate is not in PEM, or damaged"


def user_context() -> tuple[ssl.SSLContext, str]:
    """Return a context with the user's certificate, and that one's SHA-256 fingerprint.

    Raises PageUnavailable with what is wrong.
    """
    with open(KEY_FD, "rb") as key, open(CERTIFICATE_FD, "rb") as certificate:
        return _context(key.read(), certificate.read())


def own_context(made: "Aside") -> tuple[ssl.SSLContext, str]:
    """Return the same for a certificate and a key that are being made."""
    certificate, begin, key = (made.result() or b"").partition(BEGIN_KEY)
    if not begin:
        raise PageUnavailable("no certificate could be made; is python3-cryptography there?")
    return _context(begin + key, certificate)


def _context(key: bytes, certificate: bytes) -> tuple[ssl.SSLContext, str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # one page, one visit: nothing to resume
    context.set_alpn_protocols(["http/1.1"])
    asked = []

    def refuse() -> str:  # without it OpenSSL would ask the terminal
        asked.append("passphrase")
        return ""

    try:
        with _as_file(key) as key_path, _as_file(certificate) as path:
            context.load_cert_chain(path, key_path, refuse)
        return context, _prove(context, certificate)
    except ssl.SSLCertVerificationError as error:
        raise PageUnavailable(f"the TLS certificate: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise PageUnavailable(LOCKED_KEY if asked else _reason(error)) from None


def _reason(error: ssl.SSLError) -> str:
    """Put OpenSSL's reason into words; with none it means that no PEM was found."""
    return REASONS.get(error.reason, f"OpenSSL says {error.reason}") if error.reason else NO_PEM


def _prove(context: ssl.SSLContext, chain: bytes) -> str:
    """Shake hands with the context as a client that trusts its certificate.

    So OpenSSL itself says whether it is valid today, and the fingerprint is that of what is served.
    Raises SSLError.
    """
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate alone, no authority
    trusting.load_verify_locations(cadata=chain.decode("ascii", "ignore"))
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there)
    server = context.wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server, client):
        _step(side)
    return sha256(client.getpeercert(binary_form=True) or b"").digest().hex(":").upper()


def _step(side: ssl.SSLObject) -> None:
    """Go on with a handshake as far as the other side lets it."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return


@contextmanager
def _as_file(content: bytes) -> "Iterator[str]":
    """Give OpenSSL a name under which it can read `content`: in memory, no file is written.

    Nobody else of this account can open it: this process is not dumpable any more (proc(5)).
    """
    descriptor = os.memfd_create("tls")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
