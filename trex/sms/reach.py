"""The program that checks whether a gateway can be reached, for `trex.cli.doctor.gateways`.

It connects with TLS, verifies the certificate, and disconnects. It is given no credentials.
"""

from time import monotonic

from trex.sms.errors import NotSent
from trex.sms.send import at_most, module
from trex.system.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def _reach(told: "Table") -> str:
    """Return `reached`, or raise NotSent with the message that a login would log."""
    gateway = told["gateway"]
    with at_most(told["deadline"] - monotonic(), NotSent("no answer in time")):
        module(gateway["kind"]).reach(gateway)
    return "reached"


def main() -> None:
    """Run as a program: see `trex.system.launch`."""
    run(_reach)
