"""The French carrier Free's notifications by SMS to the subscriber himself, and to nobody else.

Documented in the subscriber's own pages: GET with `user`, `pass` and `msg`, and these statuses.
"""

from trex.sms.gateways.web import connect, explain, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table

URL = "https://smsapi.free-mobile.fr/sendmsg"
OK = 200
MEANINGS = {
    400: "a parameter is missing",
    402: "too many messages in too little time",
    403: "the service is not enabled, or user and key are wrong",
    500: "an error of the carrier's, try later",
}


def send(gateway: "Table", numbers: list[str], text: str) -> None:  # noqa: ARG001 (his own)
    """Send to the subscriber whose `user` and `pass` these are. Raises NotSent."""
    parameters = {"user": gateway["user"], "pass": gateway["pass"], "msg": text}
    answer = request(gateway, "GET", gateway.get("url", URL), params=parameters)
    if answer.status != OK:
        raise explain(answer, MEANINGS)


def reach(gateway: "Table") -> None:
    """See whether a message could be sent there, and send none. Raises NotSent."""
    connect(gateway, gateway.get("url", URL))
