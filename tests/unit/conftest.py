"""Property tests judge by what comes out: how long it takes says more about the machine.

Their inputs are the same each time, so that no run fails by chance. With EXPLORE set in the
environment they are new ones; an input that breaks a promise becomes an `@example`.
"""

from __future__ import annotations

import gc
import os
import signal
import warnings
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_SECONDS = 40

settings.register_profile(
    "no-clock",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not os.environ.get("EXPLORE"),
    database=None,
)
settings.load_profile("no-clock")


@pytest.fixture(scope="session", autouse=True)
def no_older_garbage() -> None:
    """Close now what the system tests have left, which a worker mostly runs before.

    Later it would go while these tests count their descriptors, or fail one of them with the warning
    that it was left open.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Have the command's signal handlers, which are for a whole process, end with the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def impatient() -> Iterator[None]:
    """Have a test fail that waits for ever, and not the whole run with it."""

    def ring(*_: object) -> None:
        raise AssertionError("this would wait for ever")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(MOST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
