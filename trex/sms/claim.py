"""The program that spends a code for a whole fleet: `trex.methods.totp` tells it which."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def claim(told: "Table") -> str:
    """Say whether the code was new: `claimed` or `spent`. Raises NotSent without Redis."""
    from trex.sms.fleet import RedisCounts

    new = RedisCounts(told["state"]).claim(told["name"])
    return "claimed" if new else "spent"


if __name__ == "__main__":
    package = sys.modules["trex"] = type(sys)("trex")  # not along sys.path: see pam_trex.py
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]
    from trex.sms.program import run

    run(claim)
