"""A sample of what `python3 -m tests.proof.faults` tries in full: docs/attacks.md has its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proof.cases import NATIVE_GRACE, VARIANTS, WITH_GRACE
from tests.proof.faults import (
    ANY,
    BECOME,
    ERRORS,
    World,
    is_foreign,
    perform,
    plan,
    plan_lasting,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.proof.faults import Cell
    from tests.support.sandbox import Log

# Where an error would hurt: ids, processes and their ends, descriptors, places.
CRITICAL = ("setgroups", "setresuid", "setresgid", "pidfd_open", "poll", "clone", "pipe2", "wait4",
            "fcntl", "memfd_create", "socket", "getrandom", "flock", "execve")  # fmt: skip
# What replaces a file: none of these is left to chance.
REPLACING = ("rename", "fsync", "fchown", "fchmod", "unlink")
VERDICTS = {"PAM_SUCCESS", "PAM_AUTHINFO_UNAVAIL"}
OTHER_VERDICTS = {
    "limit": {"PAM_AUTHINFO_UNAVAIL"},
    **{variant: {"PAM_SUCCESS"} for variant in NATIVE_GRACE},
}
ID_CALLS = 12  # at least: borrowed and given back twice
MOST = {
    "plain": 48,
    "made": 15,
    "files": 15,
    "drawn": 4,
    "signed": 15,
    "two": 12,
    "native": 48,
    "grace": 9,
    "unasked": 9,
    "native-grace": 8,
    "native-unasked": 5,
    "code": 32,
    "recovery": 32,
    "pin": 45,
    "limit": 15,
}


@pytest.fixture(scope="module")
def world(place: Path, session_log: Log) -> Iterator[World]:
    world = World(place)
    yield world
    world.close()


@pytest.mark.parametrize("variant", VARIANTS)
def test_whatever_fails_nobody_gets_in_and_nothing_stays(variant: str, world: World) -> None:
    """Advisory CVE-2025-23013: every step of a login fails in turn.

    Neither SUCCESS for a wrong answer nor IGNORE, no hang, no process, no descriptor, no message
    that was not counted, and no change to the caller's ids, groups, signal mask, handlers,
    directory or umask; and with a grace period nobody unasked who had not succeeded before, nobody
    remembered who failed, and no right answer refused for what remembers it.
    """
    calls = [call for call in world.calls(variant) if not call.early and not is_foreign(call)]
    children = set() if variant in ("code", "recovery") else {"1"}
    assert {call.role for call in calls} >= {"login", *children}
    cells = [*plan(calls, variant, set()), *plan_lasting(calls, variant)]
    results = perform(world, sample(cells, variant), 2, lambda _: None)
    bad = [
        (cell.call, cell.fault, result.hit, result.verdict, result.problems)
        for cell, result in results
        if result.problems
    ]
    assert bad == []
    reached = [result for _, result in results if result.hit]
    assert len(reached) > len(results) * 0.6, "the faults were where they belong"
    expected = OTHER_VERDICTS.get(variant, VERDICTS)
    assert expected <= {result.verdict for result in reached}


def test_ids_that_cannot_be_given_back_let_nobody_in(world: World) -> None:
    """Not even where the right answer is there already."""
    cells = [
        cell for cell in plan_lasting(world.calls("plain"), "plain")
        if ERRORS.get(cell.call.name) == BECOME and cell.call.role == "login" and cell.right
    ]  # fmt: skip
    assert len(cells) >= ID_CALLS
    results = perform(world, cells, 2, lambda _: None)
    assert [(cell.call, cell.fault, result) for cell, result in results if result.problems] == []
    # What is told after the verdict reads once more, and goes without where it cannot.
    late = 0.9 * max(cell.call.at for cell in cells)
    verdicts = {result.verdict for cell, result in results if cell.call.at < late}
    assert verdicts <= {"PAM_AUTHINFO_UNAVAIL", "PAM_SYSTEM_ERR"}


def sample(cells: list[Cell], variant: str) -> list[Cell]:
    """Return the cells that are tried each time."""
    if variant in NATIVE_GRACE:  # all else is tried with `native`, and all of this with the others
        chosen = [cell for cell in cells if is_of_grace(cell)]
        both = ([cell for cell in chosen if cell.right is right] for right in (True, False))
        return [cell for same in both for cell in spread(same, MOST[variant])]
    if variant in WITH_GRACE:
        chosen = [cell for cell in cells if is_of_grace(cell)]
    else:
        chosen = [cell for cell in cells if cell.call.name in REPLACING]
    critical = [cell for cell in cells if cell.call.name in CRITICAL]
    rest = [cell for cell in cells if cell.call.name not in (*CRITICAL, *REPLACING)]
    return [*chosen, *spread(critical, MOST[variant]), *spread(rest, MOST[variant] // 3)]


def is_of_grace(cell: Cell) -> bool:
    """Tell whether it tries a call for what is remembered: one error, and where no answer is right."""
    errors = ERRORS.get(cell.call.name, ANY)
    if not cell.right:  # whoever fails writes nothing
        return cell.variant.endswith("unasked") and not cell.call.needed
    return not cell.call.needed and cell.fault == errors[cell.call.at % len(errors)]


def spread(cells: list[Cell], most: int) -> list[Cell]:
    """Return at most so many, evenly from all."""
    step = max(1, -(-len(cells) // most))
    return cells[::step]
