"""The program that sends one PIN: `trex.sms.method` tells it all."""

import os
import signal
import sys
from contextlib import contextmanager
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from trex.sms.counts import Counts
    from trex.sms.settings import Table

GATEWAYS = {"free-mobile": "free_mobile", "twilio": "twilio", "http": "http", "email": "email"}
MIN_SECONDS = 0.01


def send(told: "Table") -> str:
    """Try the gateways in their order; say which is the first that takes all messages.

    Raises NotSent with what each of them said, and TooManyAttempts.
    """
    from trex.sms.errors import NotSent

    user, until = told["user"], told["deadline"]
    able = [gateway for gateway in told["gateways"] if user in gateway.get("only", [user])]
    reasons = []
    for place, gateway in enumerate(able):
        kind = gateway["kind"]
        share = (until - monotonic()) / (len(able) - place)
        try:
            with at_most(share, NotSent("no answer in time")):
                count(told)
                module(kind).send(gateway, told["numbers"], told["text"])
            return f"sent by {kind}"
        except NotSent as error:
            reasons.append(f"{kind}: {error}")
    raise NotSent("; ".join(reasons) or f"no gateway is for {user}")


def count(told: "Table") -> None:
    """Count the messages before they are sent. Raises Uncounted, and TooManyAttempts."""
    from trex.sms.errors import NotSent, Uncounted

    try:
        messages = len(told["numbers"])
        open_counts(told["state"]).add(told["user"], told["host"], messages, told["limits"])
    except NotSent as error:
        raise Uncounted(f"nothing is sent, because it cannot be counted: {error}") from None


def open_counts(url: str) -> "Counts":
    """Return the counts that a `state` names. Raises NotSent."""
    from trex.sms.counts import FILE, FileCounts

    if url.startswith(FILE):
        return FileCounts(url.removeprefix(FILE))
    from trex.sms.fleet import RedisCounts

    return RedisCounts(url)


def module(kind: str) -> "ModuleType":
    """Load one gateway's module and none of the others."""
    from importlib import import_module

    return import_module(f"trex.sms.gateways.{GATEWAYS[kind]}")


@contextmanager
def at_most(seconds: float, error: Exception) -> "Iterator[None]":
    """Raise `error` when the block has not ended in time, whatever it waits for."""

    def ring(*_: object) -> None:
        raise error

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(MIN_SECONDS, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    package = sys.modules["trex"] = type(sys)("trex")  # not along sys.path: see pam_trex.py
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]
    from trex.system.program import run

    run(send)
