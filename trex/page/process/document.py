"""What a visitor gets: one HTML document that loads nothing else, and its headers."""

from __future__ import annotations

import os
import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trex.page.process.settings import Settings

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
DIRECTORY = os.path.dirname(os.path.realpath(__file__))
LABELS = {"login": "Log in as", "server": "on", "service": "with", "from": "from"}
CODE = '<div class="code open">{}</div>'
NO_CODE = '<p class="none">{} Take the text to the device that holds your key.</p>'
TOO_LONG = NO_CODE.format("This message is too long for one QR code.")
NOT_DRAWN = NO_CODE.format("The QR code could not be drawn.")


class Response:
    """Status, headers and body of one answer (RFC 9110)."""

    __slots__ = ("body", "headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body


class Document:
    """The page, rendered for each visit, because the remaining time changes."""

    def __init__(self, settings: Settings, message: str, code: bytes | None) -> None:
        """Take the armored message and its QR code as SVG.

        The code is b"" for a message that is too long, None if it could not be drawn.
        """
        self._settings = settings
        self._message = message.strip()
        missing = NOT_DRAWN if code is None else TOO_LONG
        self._code = CODE.format(code.decode("ascii") if code else missing)
        self._parts = {name: _read(name) for name in ("page.html", "page.css", "page.js")}

    def page(self) -> Response:
        """Return the page itself."""
        nonce = os.urandom(16).hex()
        left = max(0, int(self._settings.seconds_left))
        values = {
            "nonce": nonce,
            "style": self._parts["page.css"].replace("SECONDS", str(left)),
            "script": self._parts["page.js"],
            "seconds": str(left),
            "until": self._settings.until("%H:%M:%S UTC"),
            "instant": self._settings.until("%Y-%m-%dT%H:%M:%SZ"),
            "details": self._details(),
            "code": self._code,
            "message": escape(self._message),
        }
        # In one pass, so that no value is searched for placeholders.
        text = PLACEHOLDER.sub(lambda match: values[match[1]], self._parts["page.html"])
        return self.plain(200, "OK", text, nonce=nonce)

    def plain(self, status: int, reason: str, text: str, *, nonce: str = "") -> Response:
        """Return any response, with the strictest headers that the page works with."""
        source = f"'nonce-{nonce}'" if nonce else "'none'"
        kind = "text/html" if nonce else "text/plain"
        return Response(status, reason, {
            "Content-Type": f"{kind}; charset=utf-8",
            "Cache-Control": "no-store",
            "Content-Security-Policy": (
                f"default-src 'none'; script-src {source}; style-src {source}; img-src data:; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }, text.encode("utf-8"))  # fmt: skip

    def _details(self) -> str:
        """Return who logs in where; the settings have it only for an authenticated page."""
        rows = "".join(
            f"<div><dt>{LABELS[name]}</dt><dd>{escape(value)}</dd></div>"
            for name, value in self._settings.told.items()
            if value
        )
        return f"<dl>{rows}</dl>" if rows else ""


def _read(name: str) -> str:
    with open(os.path.join(DIRECTORY, name), "rb") as file:
        return file.read().decode("utf-8")
