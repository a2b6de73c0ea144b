"""Clocks that are set, and a machine that sleeps, while the prompt is open."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.page import OpenPrompt, answer_to
from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log

HOUR = 3600


class Clock:
    """What the client takes for the time: the machine's own, and so much more."""

    def __init__(self, client: Path, file: Path) -> None:
        self.client = client
        self._file = file
        self.set(0, 0)

    def set(self, real: int, boot: int) -> None:
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{real} {boot}\n", encoding="ascii")
        draft.rename(self._file)


@pytest.fixture(scope="module")
def clock(place: Path, client: Path) -> Clock:
    file, shim, wrapper = place / "clock", place / "clock.so", place / "pam_client_with_clock"
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f'-DFILE_NAME="{file}"',
         "-o", shim, PROJECT / "tests/support/clock.c"], check=True,
    )  # fmt: skip
    wrapper.write_text(f'#!/bin/sh\nexec env LD_PRELOAD={shim} {client} "$@"\n')
    wrapper.chmod(0o755)
    return Clock(wrapper, file)


@pytest.fixture
def begin(
    clock: Clock, service: Callable[..., str], alice: Account
) -> Iterator[Callable[..., OpenPrompt]]:
    """Begin a login under the clock: `begin("timeout=60")`."""
    begun: list[OpenPrompt] = []

    def log_in(*arguments: str) -> OpenPrompt:
        clock.set(0, 0)
        begun.append(OpenPrompt(clock.client, service(*arguments), "alice"))
        return begun[-1]

    yield log_in
    for one in begun:
        one.close()


@pytest.mark.parametrize("shift", [-HOUR, HOUR, -10 * 365 * 24 * HOUR])
def test_a_clock_that_is_set_makes_no_answer_late(
    shift: int, begin: Callable[..., OpenPrompt], clock: Clock, holder: Holder
) -> None:
    login = begin("timeout=60")
    answer = answer_to(holder, login)
    clock.set(shift, 0)
    assert login.answer(answer).verdict == "PAM_SUCCESS"


@pytest.mark.parametrize("shift", [-HOUR, HOUR])
def test_a_clock_that_is_set_makes_no_late_answer_timely(
    shift: int, begin: Callable[..., OpenPrompt], clock: Clock, holder: Holder, log: Log
) -> None:
    """The C++ trex-pam compared wall clocks."""
    login = begin("timeout=60")
    answer = answer_to(holder, login)
    clock.set(shift, 61)
    assert login.answer(answer).verdict == "PAM_AUTH_ERR"
    assert ": late response: " in log.verdict()


def test_suspend_counts(
    begin: Callable[..., OpenPrompt], clock: Clock, holder: Holder, log: Log
) -> None:
    """CLOCK_BOOTTIME goes on while CLOCK_MONOTONIC stands still (clock_gettime(2))."""
    login = begin("timeout=600")
    answer = answer_to(holder, login)
    clock.set(HOUR, HOUR)
    assert login.answer(answer).verdict == "PAM_AUTH_ERR"
    assert ": late response: " in log.verdict()
