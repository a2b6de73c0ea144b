"""Find out who is set up, from files in all homes. Some homes may not answer.

The files are looked for with their reader's rights, in a process that can be left behind: no signal
wakes a process that waits for a file system whose server is gone.
"""

from __future__ import annotations

import mmap
from functools import partial
from typing import TYPE_CHECKING

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.location import ROOT
from trex.errors import TrexError

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 5.0  # for one home, and the homes before it that answered
MOST_SILENT = 3  # after so many silent homes, the rest is not checked
UNTOLD, NO, YES = 0, 1, 2


class Survey:
    """The users who are set up, those whose home does not answer, and those not checked."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.silent: list[str] = []
        self.left_out: list[str] = []


def survey_homes(names: list[str], is_set_up: Callable[[str], bool]) -> Survey:
    """Check each of the accounts `names`; at most MOST_SILENT of them are waited for."""
    survey = Survey()
    answers = mmap.mmap(-1, len(names) + 1)  # shared: answers stay when the child hangs
    begin = 0
    while begin < len(names) and len(survey.silent) < MOST_SILENT:
        try:
            run_as(ROOT, partial(_ask, names, begin, is_set_up, answers), SECONDS)
            begin = len(names)
        except CommandError:
            end = answers.find(bytes([UNTOLD]), begin)
            if end == begin:  # the first one, so it had the whole time
                survey.silent.append(names[begin])
            begin = max(end, begin + 1)
    told = answers[: len(names)]
    survey.found = [name for name, answer in zip(names, told, strict=True) if answer == YES]
    survey.left_out = names[begin:]
    return survey


def _ask(
    names: list[str], begin: int, is_set_up: Callable[[str], bool], answers: mmap.mmap
) -> None:
    for index in range(begin, len(names)):
        try:
            answer = YES if is_set_up(names[index]) else NO
        except (CommandError, TrexError):  # an account without a home, or with an odd name
            answer = NO
        answers[index] = answer
