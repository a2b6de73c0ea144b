"""The page's TLS context, for a key and a certificate that `trex.page.process.proof` checked."""

import ssl

from trex.page.process.proof import load


def make_context(key: bytes, certificate: bytes) -> ssl.SSLContext:
    """Return a server's context; both arguments are PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # one page, one visit: nothing to resume
    context.set_alpn_protocols(["http/1.1"])
    load(context, key, certificate)
    return context
