"""Twilio's Programmable Messaging: the Messages resource, with basic authentication.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trex.sms.errors import NotSent
from trex.sms.gateways.web import connect, request

if TYPE_CHECKING:
    from trex.sms.gateways.web import Reply
    from trex.sms.settings import Table

API = "https://api.twilio.com"
CREATED = 201
TOO_LARGE = 1_000_000  # no error code of theirs is larger, and the log stays short


def send(gateway: Table, numbers: list[str], text: str) -> None:
    """Send to each number. Raises NotSent with Twilio's error code."""
    sid = gateway["account_sid"]
    url = f"{gateway.get('api', API)}/2010-04-01/Accounts/{sid}/Messages.json"
    for number in numbers:
        form = {"To": number, "From": gateway["from"], "Body": text}
        answer = request(gateway, "POST", url, data=form, auth=(sid, gateway["auth_token"]))
        if answer.status != CREATED:
            raise NotSent(f"HTTP status {answer.status}, error code {_code(answer)}")


def reach(gateway: Table) -> None:
    """Check that the gateway can be reached, and send nothing. Raises NotSent."""
    connect(gateway, gateway.get("api", API))


def _code(answer: Reply) -> str:
    """Return the error code (https://www.twilio.com/docs/api/errors), or `unknown`."""
    try:
        code = json.loads(answer.body)["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "unknown"
    return str(code) if type(code) is int and 0 < code < TOO_LARGE else "unknown"
