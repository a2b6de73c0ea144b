"""The program that sends one PIN, for `trex.sms.method`."""

import signal
from contextlib import contextmanager
from importlib import import_module
from time import monotonic

from trex.sms.counts import FILE, FileCounts
from trex.sms.errors import NotSent, StateUnusable, Uncounted
from trex.system.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from trex.sms.counts import Counts
    from trex.sms.settings import Table

GATEWAYS = {"free-mobile": "free_mobile", "twilio": "twilio", "http": "http", "email": "email"}
MIN_SECONDS = 0.01
AGAIN = 1  # seconds, because Python sees a signal that comes just before a wait only after it


def send(told: "Table") -> str:
    """Try the gateways in order; return which is the first that accepts all messages.

    Raises NotSent with the reason of each gateway, and TooManyAttempts.
    """
    user, until = told["user"], told["deadline"]
    able = [gateway for gateway in told["gateways"] if user in gateway.get("only", [user])]
    reasons: list[str] = []
    for tried, gateway in enumerate(able):
        kind = gateway["kind"]
        share = (until - monotonic()) / (len(able) - tried)
        try:
            with at_most(share, NotSent("no answer in time")):
                count(told)
                module(kind).send(gateway, told["numbers"], told["text"])
            return "; after ".join([f"sent by {kind}", *reasons])
        except NotSent as error:
            reasons.append(f"{kind}: {error}")
    raise NotSent("; ".join(reasons) or f"no gateway is for {user}")


def count(told: "Table") -> None:
    """Count the messages before they are sent. Raises Uncounted, and TooManyAttempts."""
    try:
        messages = len(told["numbers"])
        open_counts(told["state"]).add(told["user"], told["host"], messages, told["limits"])
    except (StateUnusable, NotSent) as error:  # NotSent: the time is over
        raise Uncounted(f"nothing is sent, because it cannot be counted: {error}") from None


def open_counts(url: str) -> "Counts":
    """Return the counts at a `state` URL (docs/sms.md). Raises StateUnusable."""
    if url.startswith(FILE):
        return FileCounts(url.removeprefix(FILE))
    from trex.sms.fleet import RedisCounts  # needs python3-redis: `run` reports its absence

    return RedisCounts(url)


def module(kind: str) -> "ModuleType":
    """Import the module of one kind of gateway, and no other."""
    return import_module(f"trex.sms.gateways.{GATEWAYS[kind]}")


@contextmanager
def at_most(seconds: float, error: Exception) -> "Iterator[None]":
    """Raise `error` if the block does not end in time, whatever it waits for."""

    def ring(*_: object) -> None:
        raise error

    signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(MIN_SECONDS, seconds), AGAIN)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Run as a program: see `trex.system.launch`."""
    run(send)
