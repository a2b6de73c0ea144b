"""An SMS gateway's response, HTTP or SMTP, of which nothing may reach the log."""

from __future__ import annotations

import io
import re
import smtplib
from typing import Any
from unittest.mock import patch

from trex.sms.errors import NotSent
from trex.sms.gateways import email, free_mobile, http, twilio, web

BEFORE_TLS = re.compile(
    rb"((ehlo|helo) [^\r\n]*\r\n|starttls\r\n|quit\r\n|rset\r\n)*", re.IGNORECASE
)
NUMBERS = ["+33612345678"]
TEXT = "48151623 is the PIN for a login at web."
HIDDEN = ("48151623", "612345678", "s3cret-V4lue", "t0ken-Of-Root")
CREDENTIALS = {"user": "t0ken-Of-Root", "pass": "s3cret-V4lue", "password": "s3cret-V4lue"}
MAIL = {**CREDENTIALS, "server": "mail.example.org", "from": "trex@example.org",
        "to": "{number}@example.org"}  # fmt: skip
URL = "https://sms.example.org/s3cret-V4lue?to={number}"
GATEWAYS: tuple[tuple[Any, dict[str, Any], tuple[int, ...]], ...] = (
    (free_mobile, CREDENTIALS, (200,)),
    (twilio, {"account_sid": "t0ken-Of-Root", "auth_token": "s3cret-V4lue", "from": "+1"}, (201,)),
    (http, {"url": URL, "headers": {"Content-Type": "application/json", "X-Key": "s3cret-V4lue"},
            "body": '{"text": "{text}"}'}, (200, 201, 202)),
    (http, {"url": URL, "method": "GET", "expected": [204, 418]}, (204, 418)),
    (email, {**MAIL, "tls": "tls"}, ()),
    (email, {**MAIL, "tls": "starttls"}, ()),
)  # fmt: skip


class Wire(io.BytesIO):
    """A socket on which the gateway has already sent everything."""

    def __init__(self, said: bytes, *, tls: bool) -> None:
        super().__init__(said)
        self.tls = tls
        self.sent = b""
        self.in_the_clear = b""

    def makefile(self, *_: object) -> Wire:
        """Read from here."""
        return self

    def sendall(self, data: bytes) -> None:
        """Remember what was sent, and how."""
        self.sent += data
        self.in_the_clear += b"" if self.tls else data

    def close(self) -> None:
        """Stay open: the test inspects what was sent."""

    def settimeout(self, seconds: float) -> None:
        """Never wait."""

    def wrap_socket(self, wire: Wire, server_hostname: str) -> Wire:
        """Stand in for the TLS context, too."""
        assert wire is self
        assert server_hostname == "mail.example.org"
        self.tls = True
        return self


def check(data: bytes) -> None:
    """Sent, or NotSent with one line that is safe for a log.

    `data` is a byte that says which gateway, and from 128 on that the answer itself is looked at;
    then all that the gateway says.
    """
    choice, said = (data[0], data[1:]) if data else (0, b"")
    module, gateway, good = GATEWAYS[choice % len(GATEWAYS)]
    wire = Wire(said, tls=gateway.get("tls") != "starttls")

    def connect(connection: Any) -> None:
        connection.sock = wire
        connection.is_verified = True

    with (
        patch("urllib3.connection.HTTPSConnection.connect", connect),
        patch.object(smtplib.SMTP, "_get_socket", lambda *_: wire),
        patch.object(smtplib.SMTP_SSL, "_get_socket", lambda *_: wire),
        patch("ssl.create_default_context", lambda **_: wire),
    ):
        try:
            module.send(gateway, NUMBERS, TEXT)
        except NotSent as error:
            check_error(str(error))
        else:
            check_sent(wire, said, good)
        assert wire.sent.count(b" HTTP/1.1\r\n") <= 1, "no redirection"
        if module is not email and choice >= 128:
            check_answer(gateway, wire)
    assert BEFORE_TLS.fullmatch(wire.in_the_clear)


def check_error(error: str) -> None:
    """Check that the log gets one short line, with neither the gateway's data nor ours."""
    assert re.fullmatch(r"[ -~]{1,100}", error), error
    assert not any(hidden in error for hidden in HIDDEN)


def check_sent(wire: Wire, said: bytes, good: tuple[int, ...]) -> None:
    """Check that the gateway accepted, and was asked once."""
    if good:
        assert any(status(line) in good for line in said.decode("latin-1").split("\n"))
    else:
        assert len(re.findall(rb"^250", said, re.MULTILINE)) >= 2
        assert wire.sent.count(b"48151623") == 1


def status(line: str) -> int:
    """Return a status line's number, in any form that Python accepts; 0 for another line."""
    words = line.split()
    try:
        return int(words[1]) if words and words[0].startswith(("HTTP/1", "HTTP/0.9")) else 0
    except (IndexError, ValueError):
        return 0


def check_answer(gateway: dict[str, Any], wire: Wire) -> None:
    """Check that no response, compressed or not, is larger than allowed."""
    wire.seek(0)
    try:
        answer = web.request(gateway, "GET", "https://sms.example.org/")
    except NotSent as error:
        check_error(str(error))
    else:
        assert len(answer.body) <= web.MAX_ANSWER
        assert 100 <= answer.status <= 999
