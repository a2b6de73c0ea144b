"""The program that sees whether a gateway can be reached: `trex.cli.doctor.gateways` says which.

It connects, with TLS and a verified certificate, and hangs up. It knows no credentials.
"""

import os
import sys
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def reach(told: "Table") -> str:
    """Say `reached`, or raise NotSent with what a login would say."""
    from trex.sms.errors import NotSent
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
