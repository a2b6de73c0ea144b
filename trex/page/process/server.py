"""The page's HTTP server and its TLS: Tornado's, with a short time limit for each visitor.

docs/architecture.md says why Tornado.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
import time
from base64 import b64encode
from collections import Counter
from hmac import compare_digest
from typing import TYPE_CHECKING, cast

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)

from trex.page.process.confinement import confine_serving
from trex.page.process.proof import load
from trex.page.process.settings import LISTENER_FD, Settings

if TYPE_CHECKING:
    from typing import Any

    from tornado.http1connection import HTTP1Connection
    from tornado.iostream import IOStream

    from trex.page.process.document import Document, Response

MAX_CONNECTIONS = 96  # with one more, the oldest is closed
CONNECTION_SECONDS = 10.0  # from the accept to the end, TLS handshake included
MAX_HEADERS = 16 * 1024
BUFFER = 64 * 1024
REALM = 'Basic realm="Trex", charset="UTF-8"'  # RFC 7617
NOT_SHOWN = "User name and password are shown at the prompt in your terminal.\n"


def make_context(key: bytes, certificate: bytes) -> ssl.SSLContext:
    """Return a server's context; both arguments are PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # one page, one visit: nothing to resume
    context.set_alpn_protocols(["http/1.1"])
    load(context, key, certificate)
    return context


def serve(document: Document, settings: Settings, context: ssl.SSLContext | None) -> None:
    """Serve the document until the deadline."""
    for limit in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))  # from now on no process can start and no file grow
    logging.disable()  # nothing reads it, and requests of strangers need no log line
    asyncio.run(_serve(_Door(document, settings), settings, context))


async def _serve(door: _Door, settings: Settings, context: ssl.SSLContext | None) -> None:
    server = _Server(
        door,
        ssl_options=context,
        no_keep_alive=True,
        idle_connection_timeout=CONNECTION_SECONDS,
        max_header_size=MAX_HEADERS,
        max_buffer_size=BUFFER,
        chunk_size=MAX_HEADERS,
    )
    listener = socket.socket(fileno=LISTENER_FD)
    listener.settimeout(0)  # Tornado wants it non-blocking
    server.add_socket(listener)
    confine_serving()  # before the first visitor is accepted
    while (left := settings.seconds_left) > 0:
        await asyncio.sleep(min(1.0, left))
        server.close_overdue()


class _Server(HTTPServer):
    """Tornado's server, with few connections at a time and a time limit for each."""

    def initialize(self, *arguments: Any, **options: Any) -> None:
        super().initialize(*arguments, **options)
        self._guests: dict[IOStream, tuple[str, float]] = {}  # origin, since when; oldest first

    def handle_stream(self, stream: IOStream, address: tuple[object, ...]) -> None:
        """Make room for a new visitor by closing the oldest connection of the origin with most."""
        self._forget_closed()
        if len(self._guests) >= MAX_CONNECTIONS:
            origins = Counter(origin for origin, _ in self._guests.values())
            [(greediest, _)] = origins.most_common(1)
            oldest = next(s for s, (origin, _) in self._guests.items() if origin == greediest)
            del self._guests[oldest]
            oldest.close()
        self._guests[stream] = _origin(str(address[0])), asyncio.get_running_loop().time()
        super().handle_stream(stream, address)

    def close_overdue(self) -> None:
        """Close connections that are over the time limit."""
        limit = asyncio.get_running_loop().time() - CONNECTION_SECONDS
        for stream, (_, since) in self._guests.items():
            if since < limit:
                stream.close()

    def _forget_closed(self) -> None:
        for stream in [stream for stream in self._guests if stream.closed()]:
            del self._guests[stream]


def _origin(address: str) -> str:
    """Return what counts as one visitor: an IPv4 address, or an IPv6 network of 64 bits.

    All of loopback is one: a local user can use any of its sixteen million addresses.
    """
    mapped = address.removeprefix("::ffff:")
    if address == "::1" or mapped.startswith("127."):
        return "loopback"
    if "." in mapped:
        return mapped
    return socket.inet_ntop(
        socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address.partition("%")[0])[:8] + bytes(8)
    )


class _Door(HTTPServerConnectionDelegate):
    """Decides which response each request gets."""

    def __init__(self, document: Document, settings: Settings) -> None:
        self._document = document
        self._expected = b64encode(f"{settings.user_name}:{settings.password}".encode("ascii"))
        self._is_open = not settings.user_name

    def start_request(
        self,
        server_conn: object,  # noqa: ARG002 (Tornado's interface)
        request_conn: HTTPConnection,
    ) -> HTTPMessageDelegate:
        """Return a delegate for one request (Tornado's interface)."""
        return _Visit(self, cast("HTTP1Connection", request_conn))

    def answer(self, method: str, path: str, headers: HTTPHeaders) -> Response:
        """Return the response to a request. For `HEAD` it is the same, but its body is not sent."""
        if _without_authority(path) != "/":
            return self._document.plain(404, "Not Found", "There is only one page: /\n")
        if method not in ("GET", "HEAD"):
            answer = self._document.plain(405, "Method Not Allowed", "Only GET and HEAD.\n")
            answer.headers["Allow"] = "GET, HEAD"
            return answer
        if not (self._is_open or self._knows(headers.get("Authorization", ""))):
            answer = self._document.plain(401, "Unauthorized", NOT_SHOWN)
            answer.headers["WWW-Authenticate"] = REALM
            return answer
        return self._document.page()

    def _knows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        offered = token.strip().encode("utf-8", "surrogateescape")
        return compare_digest(offered, self._expected) and scheme.lower() == "basic"


def _without_authority(target: str) -> str:
    """Return the path of a request's target, which may be a full URL (RFC 9112, section 3.2.2)."""
    scheme, mark, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if mark and scheme.lower() in {"http", "https"} else target


class _Visit(HTTPMessageDelegate):
    """One request, answered as soon as its headers are complete.

    Nothing behind them is read, neither a body nor another request: Tornado 6.2 hangs at a body
    with a chunk of fewer bytes than none.
    """

    def __init__(self, door: _Door, connection: HTTP1Connection) -> None:
        self._door = door
        self._connection = connection

    async def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Send the response (Tornado's interface; a server gets no ResponseStartLine)."""
        method, path, _ = start_line
        answer = self._door.answer(str(method), str(path), headers)
        fields = HTTPHeaders(answer.headers)
        fields["Date"] = format_timestamp(time.time())
        fields["Content-Length"] = str(len(answer.body))
        body = b"" if method == "HEAD" else answer.body
        status = ResponseStartLine("HTTP/1.1", answer.status, answer.reason)
        try:
            await self._connection.write_headers(status, fields, body)
        finally:
            self._connection.detach().close()
