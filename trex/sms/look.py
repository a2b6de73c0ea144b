"""The program that reports, for `trex.cli.doctor.state`, which limits are reached."""

import json

from trex.sms.send import open_counts
from trex.system.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def _look(told: "Table") -> str:
    """Return `reached` and a JSON object, the result of `trex.sms.counts.Counts.reached`.

    Raises StateUnusable.
    """
    counts = open_counts(told["state"])
    reached = counts.reached(told["user"], told["host"], told["messages"], told["limits"])
    return f"reached {json.dumps(reached)}"


def main() -> None:
    """Run as a program: see `trex.system.launch`."""
    run(_look)
