"""An activation that is killed, or fails, before any of its steps: the old state, or a way back."""

from __future__ import annotations

import errno
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import interrupted
from tests.support.activation import DROP_IN, PAM, STATE, WITNESSES, until, watchers
from trex.cli.activation import activate, arm, back, confirm, deactivate, plan, turn
from trex.cli.activation.lines import Choice
from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from tests.support.activation import HostSshd
    from tests.support.sandbox import Account

CHOICE = Choice("sshd")
SECONDS = 300


def switch_on() -> plan.Activation:
    with turn.one_at_a_time():
        turn.finish_earlier()
        return activate._switch_on(CHOICE, activate._edits(CHOICE), SECONDS, anyway=True)


def keep() -> None:
    """Confirm, as from a login that Trex has let in."""
    with turn.one_at_a_time():
        [one] = plan.read_plans(plan.PENDING)
        confirm._keep(one, "alice")


def restore() -> None:
    with turn.one_at_a_time():
        turn.finish_earlier()
        active = plan.read_active("sshd")
        assert active
        deactivate._restore(active, [deactivate._backwards(edit) for edit in active.edits])


def state_of_files() -> dict[str, tuple[bytes, int, int]]:
    """Return content, mode and owner of all files where something may be left."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mode, path.stat().st_uid)
        for directory in (PAM.parent, DROP_IN.parent, Path("/etc/cron.d"))
        for path in directory.iterdir()
        if path.is_file()
    }


def plans() -> list[str]:
    return sorted(path.name.partition(".")[0] for path in STATE.glob("[a-z]*.*"))


def by_the_timer() -> None:
    """Run what the timer runs, for all that waits."""
    waiting = [*plan.read_plans(plan.PENDING), *plan.read_plans(plan.REVERTING)]
    for one in waiting:
        subprocess.run(arm.command_of(one.identity), check=True)


def tidy() -> None:
    """What the next command does first."""
    with turn.one_at_a_time():
        turn.finish_earlier()


def test_activate_killed_before_any_step_leaves_the_old_state_or_a_way_back(
    machine: Account, server: HostSshd
) -> None:
    old = state_of_files()
    changed = 0
    for step in interrupted.killed(switch_on):
        if PAM.read_bytes() != old[str(PAM)][0] or DROP_IN.exists():
            changed += 1
            assert plans() == ["pending"], step
            assert watchers(), f"step {step}: nothing would take it back"
        by_the_timer()
        tidy()
        assert state_of_files() == old, step
        assert plans() == []
        assert not WITNESSES.exists()
        until(lambda: not watchers())
    assert changed > 3
    new = state_of_files()
    assert new != old
    by_the_timer()
    assert state_of_files() == old


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_activate_with_a_step_that_fails_has_everything_as_before(
    machine: Account, server: HostSshd, code: int
) -> None:
    old = state_of_files()
    steps = 0
    for step in interrupted.failing(switch_on, code):
        steps += 1
        if plans() == ["pending"]:  # the step could be left out
            by_the_timer()
        tidy()
        assert state_of_files() == old, step
        assert plans() == []
        until(lambda: not watchers())
    assert steps > 20
    by_the_timer()
    assert state_of_files() == old


def test_the_way_back_killed_before_any_step_gets_back_at_the_next_try(
    machine: Account, server: HostSshd
) -> None:
    old = state_of_files()
    one = switch_on()
    steps = 0
    for step in interrupted.killed(lambda: back.take_back(one.identity)):  # noqa: B023
        steps += 1
        by_the_timer()
        assert state_of_files() == old, step
        assert plans() == []
        one = switch_on()
    assert steps > 5
    assert state_of_files() == old


def test_a_way_back_that_cannot_write_is_tried_again(machine: Account, server: HostSshd) -> None:
    old = state_of_files()
    one = switch_on()
    steps = 0

    def fail_once() -> None:
        if back.take_back(one.identity):
            raise CommandError("not yet")

    for step in interrupted.failing(fail_once, errno.EROFS):
        steps += 1
        by_the_timer()
        assert state_of_files() == old, step
        assert plans() == []
        one = switch_on()
    assert steps > 5
    assert state_of_files() == old


def test_confirm_killed_before_any_step_leaves_it_waiting_or_confirmed(
    machine: Account, server: HostSshd
) -> None:
    old = state_of_files()
    switch_on()
    confirmed = waiting = 0
    for step in interrupted.killed(keep):
        identity = [*plan.read_plans(plan.PENDING), *plan.read_plans(plan.ACTIVE)][0].identity
        if plans() == ["pending"]:
            waiting += 1
            by_the_timer()
            assert state_of_files() == old, step
        else:
            confirmed += 1
            assert plans() == ["active"], step
            if confirmed % 2:  # no timer, nor cron
                tidy()
                assert not WITNESSES.exists()
            subprocess.run(arm.command_of(identity), check=True)  # the timer that was still there
            assert plans() == ["active"]
            assert "pam_trex.so" in PAM.read_text(), step
            assert not WITNESSES.exists()
            assert {path for path in state_of_files() if ".trex-" in path} == set()
            restore()
            assert state_of_files() == old
        switch_on()
    assert waiting > 0
    assert confirmed > 2
    restore()
    assert state_of_files() == old


def test_deactivate_killed_before_any_step_leaves_one_state_or_gets_to_the_other(
    machine: Account, server: HostSshd
) -> None:
    old = state_of_files()
    switch_on()
    keep()
    new = state_of_files()
    for step in interrupted.killed(restore):
        by_the_timer()
        found = {path: text for path, text in state_of_files().items() if ".trex-" not in path}
        assert found in (old, new), step
        if plan.read_active("sshd"):
            restore()
        assert state_of_files() == old, step
        assert plans() == []
        switch_on()
        keep()
    assert state_of_files() == old


def test_what_waits_is_taken_back_by_the_process_that_waits(
    machine: Account, server: HostSshd
) -> None:
    old = state_of_files()
    with turn.one_at_a_time():
        one = activate._switch_on(CHOICE, activate._edits(CHOICE), 5, anyway=True)
    was_on = state_of_files() != old
    assert was_on or time.clock_gettime(time.CLOCK_BOOTTIME) >= one.deadline
    until(lambda: not watchers())
    assert time.clock_gettime(time.CLOCK_BOOTTIME) >= one.deadline
    assert state_of_files() == old
    assert plans() == []
