"""What the three commands share: root's rights, one at a time, and what an earlier one has left.

The lock keeps two commands from mixing. The way back takes none: a command that is stopped at its
terminal would hold it up.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trex.cli.activation import back, plan
from trex.cli.activation.change import read_text
from trex.cli.activation.witnesses import close_witnesses
from trex.cli.errors import CommandError
from trex.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = f"{plan.STATE}/lock"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock. Raises CommandError without root's rights, or while another command runs."""
    if os.geteuid() != 0:
        raise CommandError("only root can do this", "sudo trex ...")
    try:
        plan.make_state()
        descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"{plan.STATE}: {error.strerror}", "nothing was changed") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        hint = "is it stopped, or waiting for an answer, in another terminal?"
        raise CommandError("another trex activate or deactivate is running", hint) from None
    finally:
        os.close(descriptor)


def finish_earlier() -> None:
    """Take back what an attempt has left that was killed, or whose time is over."""
    plan.remove_unwritten()
    waiting = [*plan.read_plans(plan.PENDING), *plan.read_plans(plan.REVERTING)]
    for one in waiting:
        is_pending = one in plan.read_plans(plan.PENDING)
        if not is_pending or one.is_due or not has_begun(one):
            end_now(one)
            say(f"An earlier attempt for {one.service} was not finished: it is taken back.")
    if not plan.read_plans(plan.PENDING):
        close_witnesses()  # of a trex confirm that was killed


def has_begun(one: plan.Activation) -> bool:
    """Tell whether an activation has changed a file."""
    return any(read_text(edit.path) != edit.before for edit in one.edits)


def waiting_plan() -> plan.Activation | None:
    """Return the activation that can still be confirmed."""
    return next((one for one in plan.read_plans(plan.PENDING) if not one.is_due), None)


def end_now(one: plan.Activation) -> None:
    """Take an activation back. Raises CommandError for what cannot be restored."""
    if problems := back.take_back(one.identity):
        hint = f"trex deactivate {one.service} tries again; is the disk writable?"
        raise CommandError(f"not taken back: {'; '.join(problems)}", hint)


def clock_of(one: plan.Activation) -> str:
    """Return when an activation is taken back."""
    return time.strftime("%H:%M:%S", time.localtime(one.until))
