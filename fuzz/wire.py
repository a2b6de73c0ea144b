"""Bytes on the page's socket, as Tornado's parser reads them."""

from __future__ import annotations

import asyncio
import logging
import socket

from tornado.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.iostream import IOStream

from fuzz.request import KEY, LOCKED
from trex.page.process.server import BUFFER, MAX_HEADERS

SECONDS = 5.0
ANSWERS = (b"HTTP/1.1 200 ", b"HTTP/1.1 400 ", b"HTTP/1.1 401 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 ")
logging.disable()
LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)


def check(data: bytes) -> None:
    """One response or none, then the end; and the message only with the password."""
    received = LOOP.run_until_complete(_talk(data))
    assert not received or received.startswith((*ANSWERS, b"HTTP/1.1 100 ")), received
    if b"shown to whoever may see it" in received:
        assert KEY.encode() in data
    assert received.count(b"HTTP/1.1 ") <= 1 + received.count(b"HTTP/1.1 100 ")


async def _talk(data: bytes) -> bytes:
    here, there = socket.socketpair()
    here.setblocking(False)  # noqa: FBT003 (the socket's own way)
    stream = IOStream(there, max_buffer_size=BUFFER, read_chunk_size=MAX_HEADERS)
    parameters = HTTP1ConnectionParameters(
        chunk_size=MAX_HEADERS, max_header_size=MAX_HEADERS, header_timeout=SECONDS,
    )  # fmt: skip
    connection = HTTP1ServerConnection(stream, parameters)
    connection.start_serving(LOCKED)
    try:
        here.sendall(data[:BUFFER])
        here.shutdown(socket.SHUT_WR)
        received = b""
        async with asyncio.timeout(SECONDS):
            while more := await LOOP.sock_recv(here, BUFFER):
                received += more
        return received
    except ConnectionError:
        return received
    finally:
        here.close()
        await connection.close()
