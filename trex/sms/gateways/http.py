"""Any gateway that takes an HTTPS request: the administrator sets method, URL, headers and body.

`{number}` and `{text}` are replaced and encoded for where they stand: percent-encoded in the URL
and in a form, escaped in JSON, and unchanged in any other body.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from trex.sms.gateways.web import connect, explain, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.sms.settings import Table

EXPECTED = [200, 201, 202]


def send(gateway: Table, numbers: list[str], text: str) -> None:
    """Send one request for each number. Raises NotSent."""
    headers = {name: value.encode() for name, value in gateway.get("headers", {}).items()}
    encode = _encoder(gateway.get("headers", {}))
    for number in numbers:
        url = _fill(gateway["url"], number, text, _percent)
        body = _fill(gateway.get("body", ""), number, text, encode)
        method = gateway.get("method", "POST")
        answer = request(gateway, method, url, headers=headers, data=body.encode())
        if answer.status not in gateway.get("expected", EXPECTED):
            raise explain(answer, {})


def reach(gateway: Table) -> None:
    """Check that the gateway can be reached, and send nothing. Raises NotSent."""
    connect(gateway, gateway["url"])


def _encoder(headers: dict[str, str]) -> Callable[[str], str]:
    kinds = [value.lower() for name, value in headers.items() if name.lower() == "content-type"]
    if any("json" in kind for kind in kinds):
        return _json
    if any("x-www-form-urlencoded" in kind for kind in kinds):
        return _percent
    return str


def _percent(text: str) -> str:
    return quote(text, safe="")


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _fill(template: str, number: str, text: str, encode: Callable[[str], str]) -> str:
    """Replace both in one pass, so that neither value is searched for the other placeholder."""
    parts = template.split("{number}")
    return encode(number).join(part.replace("{text}", encode(text)) for part in parts)
