"""The program that spends a code for a whole fleet, or gives it back, for `trex.totp.method`."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def claim(told: "Table") -> str:
    """Return `claimed` for a new code, `spent` for a used one, or `released`. Raises NotSent."""
    from trex.sms.fleet import RedisCounts

    fleet = RedisCounts(told["state"])
    if told["release"]:
        fleet.release(told["name"], told["token"])
        return "released"
    return "claimed" if fleet.claim(told["name"], told["token"]) else "spent"


if __name__ == "__main__":
    package = sys.modules["trex"] = type(sys)("trex")  # not along sys.path: see pam_trex.py
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]
    from trex.system.program import run

    run(claim)
