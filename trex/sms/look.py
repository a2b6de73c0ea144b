"""The program that reports, for `trex.cli.doctor.state`, which limits are reached."""

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def look(told: "Table") -> str:
    """Return `reached` and a JSON object, the result of `trex.sms.counts.Counts.reached`.

    Raises NotSent if a message could not be counted.
    """
    from trex.sms.send import open_counts

    counts = open_counts(told["state"])
    reached = counts.reached(told["user"], told["host"], told["messages"], told["limits"])
    return f"reached {json.dumps(reached)}"


if __name__ == "__main__":
    package = sys.modules["trex"] = type(sys)("trex")  # not along sys.path: see pam_trex.py
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]
    from trex.system.program import run

    run(look)
