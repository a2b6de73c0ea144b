"""A login that is refused, before anything is asked, because something could not be checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.sandbox import Asked, Log


def refused(asked: Asked, log: Log, reason: str) -> None:
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    line = log.verdict()
    assert ": could not check: " in line
    assert reason in line
    assert "root:" not in log.everything(), "nothing of another file's content"
