"""The program that sends one PIN. `trex.methods.sms` tells it all, and reads one line.

It runs isolated and without site-packages: what it imports is the package that it belongs to, the
standard library, and Debian's packages.
"""

import json
import os
import signal
import sys
from contextlib import contextmanager
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from trex.sms.settings import Table

STATUS_FD = 3
PR_SET_DUMPABLE = 4
DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"
GATEWAYS = {"free-mobile": "free_mobile", "twilio": "twilio", "http": "http", "email": "email"}
MIN_SECONDS = 0.01


def main() -> None:
    """Read what is to be sent, count it, send it, say what came of it."""
    from trex.child import prctl
    from trex.errors import TrexError

    prctl(PR_SET_DUMPABLE, 0)  # other processes of this account cannot look into this one
    with open(0, encoding="utf-8") as stream:
        told = json.load(stream)
    try:
        line = f"sent by {send(told)}"
    except TrexError as error:
        line = f"failed {error}"
    except BaseException as error:
        # No message of an error that nobody has foreseen: it may hold a URL with a password.
        line = f"failed with an unforeseen {type(error).__name__}"
    printable = "".join(c if c.isprintable() else "?" for c in line)
    os.write(STATUS_FD, f"{printable}\n".encode())


def send(told: "Table") -> str:
    """Try the gateways in their order; return the first that takes all messages.

    Raises NotSent with what each of them said, and TooManyAttempts.
    """
    from trex.errors import NotSent
    from trex.sms.counts import open_counts

    able = [
        gateway
        for gateway in told["gateways"]
        if told["user"] in gateway.get("only", [told["user"]])
    ]
    reasons = []
    with at_most(told["deadline"] - monotonic(), NotSent("the counts did not answer in time")):
        counts = open_counts(told["state"])
    for place, gateway in enumerate(able):
        share = (told["deadline"] - monotonic()) / (len(able) - place)
        try:
            with at_most(share, NotSent("no answer in time")):
                counts.add(told["user"], told["host"], len(told["numbers"]), told["limits"])
                module(gateway["kind"]).send(gateway, told["numbers"], told["text"])
            return str(gateway["kind"])
        except NotSent as error:
            reasons.append(f"{gateway['kind']}: {error}")
    raise NotSent("; ".join(reasons) or f"no gateway is for {told['user']}")


def module(kind: str) -> "ModuleType":
    """Load one gateway's module and none of the others."""
    from importlib import import_module

    return import_module(f"trex.sms.{GATEWAYS[kind]}")


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
    sys.path.append(DEBIAN_PACKAGES)
    package = sys.modules["trex"] = type(sys)("trex")  # not along sys.path: see pam_trex.py
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]
    main()
