"""The program that checks whether a gateway can be reached, for `trex.cli.doctor.gateways`.

It connects with TLS, verifies the certificate, and disconnects. It is given no credentials.
"""

import os
import sys
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def reach(told: "Table") -> str:
    """Return `reached`, or raise NotSent with the message that a login would log."""
    from trex.codeerrors import NotSent
    from trex.sms.send import at_most, module

    gateway = told["gateway"]
    with at_most(told["deadline"] - monotonic(), NotSent("no answer in time")):
        module(gateway["kind"]).reach(gateway)
    return "reached"


if __name__ == "__main__":
    package = sys.modules["trex"] = type(sys)("trex")  # not along sys.path: see pam_trex.py
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]
    from trex.system.program import run

    run(reach)
