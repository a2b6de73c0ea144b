"""One HTTP request to the page, as Tornado parses it, and the response."""

from __future__ import annotations

from base64 import b64encode

from tornado.httputil import HTTPHeaders, HTTPInputError, parse_request_start_line

from trex.page.process.document import Document
from trex.page.process.server import _Door
from trex.page.process.settings import Settings

MESSAGE = "-----BEGIN PGP MESSAGE-----\n\nshown to whoever may see it\n-----END PGP MESSAGE-----"
LINES = ["deadline 9e9", "host h", "credentials AAAAAAAAAA BBBBBBBBBB", "login alice"]
DOCUMENT = Document(Settings(LINES), MESSAGE, b"")
LOCKED = _Door(DOCUMENT, Settings(LINES))
OPEN = _Door(DOCUMENT, Settings(LINES[:2]))
KEY = b64encode(b"AAAAAAAAAA:BBBBBBBBBB").decode()


def check(data: bytes) -> None:
    """One of four responses; the message only with user name and password."""
    text = data.decode("latin-1")
    first, _, rest = text.partition("\n")
    try:
        method, path, _ = parse_request_start_line(first.rstrip("\r"))
        headers = HTTPHeaders.parse(rest)
    except (HTTPInputError, ValueError):  # Tornado answers 400 and closes
        return
    for door in (LOCKED, OPEN):
        answer = door.answer(method, path, headers)
        assert answer.status in (200, 401, 404, 405)
        shown = b"shown to whoever may see it" in answer.body
        assert shown == (answer.status == 200)
        assert all("\n" not in value and "\r" not in value for value in answer.headers.values())
        assert (answer.status == 401) == ("WWW-Authenticate" in answer.headers)
        if shown:
            assert method in ("GET", "HEAD")
            assert path == "/"
        if shown and door is LOCKED:
            scheme, _, token = headers["Authorization"].partition(" ")
            assert scheme.lower() == "basic"
            assert token.strip() == KEY
        assert door is LOCKED or answer.status != 401
