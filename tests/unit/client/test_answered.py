"""Which challenges were answered is remembered for as long as any of them could be asked again."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from trex.cli.client.answered import check_new, claim, release
from trex.cli.client.context import MOST_AHEAD
from trex.cli.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

KEPT = 2 * MOST_AHEAD.total_seconds()


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "trex/answered"


def sealed(digest: str) -> Any:
    return SimpleNamespace(digest=digest)


@pytest.mark.usefixtures("marks")
def test_a_challenge_is_claimed_once_and_again_where_its_answer_came_to_nobody() -> None:
    claim(sealed("one"))
    for again in (claim, check_new):
        with pytest.raises(Refused, match="answered before"):
            again(sealed("one"))
    release(sealed("one"))
    check_new(sealed("one"))
    claim(sealed("one"))


@pytest.mark.parametrize(("age", "remembered"), [(KEPT - 60, True), (KEPT + 60, False)])
def test_a_mark_is_forgotten_when_no_challenge_that_old_is_answered(
    marks: Path, age: float, remembered: bool
) -> None:
    claim(sealed("old"))
    os.utime(marks / "old", (time.time() - age,) * 2)
    claim(sealed("another"))
    assert (marks / "old").exists() is remembered
