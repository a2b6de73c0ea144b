"""A sample of what `python3 -m tests.proof.stops` tries in full: docs/attacks.md tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proof.stops import KINDS, VARIANTS, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.proof.stops import Step
    from tests.support.sandbox import Log

# Where something begins that others might wait for, or is about to end.
EVENTS = ("flock", "mkdir", "rename", "link", "unlink", "rmdir", "fsync", "getdents64", "fcntl",
          "mount", "unshare", "clone", "execve", "bind", "connect", "wait4", "poll", "kill")  # fmt: skip
MOST = 9


@pytest.fixture(scope="module")
def world(place: Path, client: Path, session_log: Log) -> Iterator[World]:
    world = World(place, client)
    yield world
    world.close()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_login_that_is_stopped_keeps_nobody_out(world: World, name: str) -> None:
    """Whoever calls su can stop it, and freeze all of it in a cgroup of their own."""
    variant = world.variants[name]
    steps = chosen(world.steps(variant))
    bad, reached = [], 0
    for number, step in enumerate(steps):
        is_reached, problems = world.stop(variant, step, KINDS[number % 2])
        bad += [(step, KINDS[number % 2], problems)] if problems else []
        reached += is_reached
    assert bad == []
    assert reached > len(steps) * 0.6


def chosen(steps: list[Step]) -> list[Step]:
    """Return some of each event, evenly from all, and the last ones of each kind among them."""
    events = [step for step in steps if step.name in EVENTS]
    last = {(step.role, step.name): step for step in events}
    found = sorted({*events[:: max(1, len(events) // MOST)], *last.values()}, key=steps.index)
    return found[:: max(1, len(found) // (2 * MOST))]
