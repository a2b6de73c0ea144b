"""The French carrier Free's SMS notifications, which reach the subscriber only.

Free documents them in the subscriber's account: GET with `user`, `pass` and `msg`, and statuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.sms.gateways.web import connect, explain, request

if TYPE_CHECKING:
    from trex.sms.settings import Table

URL = "https://smsapi.free-mobile.fr/sendmsg"
OK = 200
MEANINGS = {
    400: "a parameter is missing",
    402: "too many messages in a short time",
    403: "the service is not enabled, or user or key is wrong",
    500: "an error at the carrier, try later",
}


def send(gateway: Table, numbers: list[str], text: str) -> None:  # noqa: ARG001 (always the subscriber's)
    """Send to the subscriber whose `user` and `pass` these are. Raises NotSent."""
    parameters = {"user": gateway["user"], "pass": gateway["pass"], "msg": text}
    answer = request(gateway, "GET", gateway.get("url", URL), params=parameters)
    if answer.status != OK:
        raise explain(answer, MEANINGS)


def reach(gateway: Table) -> None:
    """Check that the gateway can be reached, and send nothing. Raises NotSent."""
    connect(gateway, gateway.get("url", URL))
