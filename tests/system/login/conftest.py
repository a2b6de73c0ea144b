"""What logins with a grace period have in common."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.grace import DAY, PLACE, UNASKED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Log


@pytest.fixture
def no_grace_left() -> Iterator[None]:
    """Forget every success at the end of a test."""
    yield
    shutil.rmtree(PLACE, ignore_errors=True)


@pytest.fixture
def from_(client: Path, holder: Holder, log: Log) -> Callable[..., bool]:
    """Log in from a host by one service, with the right response; tell whether it was asked for."""

    def log_in(host: str, service: str, *options: str, user: str = "alice") -> bool:
        log.clear()
        asked = sandbox.ask_pam(
            client, service, user, "--answer-with", holder.command(), "--rhost", host, *options
        )
        assert asked.verdict == "PAM_SUCCESS", log.trex()
        assert ("BEGIN PGP" in asked.prompt) != (UNASKED in log.verdict())
        return "BEGIN PGP" in asked.prompt

    return log_in


@pytest.fixture
def day(service: Callable[..., str]) -> str:
    """A service with a period of a day."""
    return service(DAY)
