"""The program that lets a user have messages again, for `trex sms reset`."""

from time import monotonic

from trex.sms.errors import StateUnusable
from trex.sms.send import at_most, open_counts
from trex.system.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def _reset(told: "Table") -> str:
    """Return `reset` and how many messages counted. Raises StateUnusable."""
    with at_most(told["deadline"] - monotonic(), StateUnusable("no answer in time")):
        return f"reset {open_counts(told['state']).reset(told['user'])}"


def main() -> None:
    """Run as a program: see `trex.system.launch`."""
    run(_reset)
