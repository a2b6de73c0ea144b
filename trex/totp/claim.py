"""The program that spends a code for a whole fleet, or gives it back, for `trex.totp.method`."""

from trex.system.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.sms.settings import Table


def _claim(told: "Table") -> str:
    """Return `claimed` for a new code, `spent` for a used one, or `released`.

    Raises StateUnusable.
    """
    from trex.sms.fleet import RedisCounts  # needs python3-redis: `run` reports its absence

    fleet = RedisCounts(told["state"])
    if told["release"]:
        fleet.release(told["name"], told["token"])
        return "released"
    return "claimed" if fleet.claim(told["name"], told["token"]) else "spent"


def main() -> None:
    """Run as a program: see `trex.system.launch`."""
    run(_claim)
