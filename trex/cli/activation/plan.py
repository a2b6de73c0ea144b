"""What an activation changes, written down before it changes anything.

STATE is root's own. One plan at most waits to be confirmed, `pending.ID`. The way back renames it
to `reverting.ID`, and confirming to `active.SERVICE`: of the two only one can succeed, and neither
waits for a lock that a stopped process holds.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from trex.cli.errors import CommandError
from trex.login.grace import boot_id
from trex.system.rewriting import sync_directory, write_durably

STATE = "/var/lib/trex/activation"
PENDING, REVERTING, ACTIVE = "pending.", "reverting.", "active."
UNWRITTEN = ".new"


@dataclass(frozen=True)
class Edit:
    """One file: its text and whose it is. None is no file; bytes that are not UTF-8 are surrogates.

    `original` is from before the first activation, `before` from before this one.
    """

    path: str  # where the file itself is, behind any link
    original: str | None
    before: str | None
    after: str
    mode: int
    uid: int
    gid: int

    @property
    def new(self) -> str:
        """Where `after` waits; renaming this file is the change."""
        return _beside(self.path, "new")

    @property
    def old(self) -> str:
        """Where `before` waits: the way back needs no space on the disk."""
        return _beside(self.path, "old")


@dataclass(frozen=True)
class Activation:
    """What `trex activate` changes, for how long, and for whom.

    `deadline` is seconds of CLOCK_BOOTTIME in the boot `boot`, and `until` the same of time(2).
    """

    identity: str
    service: str
    services: list[str]  # those whose logins may confirm it
    edits: list[Edit]
    boot: str
    deadline: float
    until: float
    ends: bool = False  # the way back ends the activation for good: trex deactivate

    @property
    def is_due(self) -> bool:
        """Whether it is late to confirm: the time is over, or the host was started again."""
        return self.boot != boot_id() or time.clock_gettime(time.CLOCK_BOOTTIME) >= self.deadline


def with_original(edit: Edit, original: str | None) -> Edit:
    """Return an edit that belongs to an earlier one."""
    return replace(edit, original=original)


def make_state() -> None:
    """Make STATE, if it is not there."""
    for path in (os.path.dirname(STATE), STATE):
        with suppress(FileExistsError):
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)  # noqa: S103 (central mode's account looks there, too)
    os.chmod(STATE, 0o700)
    sync_directory(os.path.dirname(STATE))


def write_plan(plan: Activation, kind: str) -> None:
    """Write a plan so that it survives a power cut. Raises OSError with nothing written."""
    path = _path(kind, plan)
    made = os.path.join(STATE, f".{plan.identity}{UNWRITTEN}")
    write_durably(path, made, json.dumps(asdict(plan)).encode("ascii"), 0o600)


def remove_unwritten() -> None:
    """Remove what a command has left that was killed while it wrote a plan."""
    for name in os.listdir(STATE):
        if name.startswith(".") and name.endswith(UNWRITTEN):
            os.unlink(os.path.join(STATE, name))


def read_plans(kind: str) -> list[Activation]:
    """Return the plans of a kind. Raises CommandError for a file that is none."""
    try:
        names = sorted(os.listdir(STATE))
    except FileNotFoundError:
        return []
    plans = (read_plan(os.path.join(STATE, name)) for name in names if name.startswith(kind))
    return [plan for plan in plans if plan]


def read_active(service: str) -> Activation | None:
    """Return the confirmed plan of a service."""
    return read_plan(os.path.join(STATE, ACTIVE + service))


def read_plan(path: str) -> Activation | None:
    """Return the plan in a file, None if that has gone."""
    try:
        with open(path, "rb") as file:
            fields = json.load(file)
        return Activation(**{**fields, "edits": [Edit(**edit) for edit in fields["edits"]]})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = (
            error.strerror if isinstance(error, OSError) else "this is no plan of trex activate"
        )
        raise CommandError(f"{path}: {reason}", f"is {STATE} root's own and whole?") from None


def move(plan: Activation, before: str, after: str) -> bool:
    """Have a plan be of another kind; False if somebody else has done so."""
    try:
        os.rename(_path(before, plan), _path(after, plan))
    except FileNotFoundError:
        return False
    sync_directory(STATE)
    return True


def forget(plan: Activation, kind: str) -> None:
    """Remove a plan."""
    with suppress(FileNotFoundError):
        os.unlink(_path(kind, plan))
    sync_directory(STATE)


def _path(kind: str, plan: Activation) -> str:
    return os.path.join(STATE, kind + (plan.service if kind == ACTIVE else plan.identity))


def _beside(path: str, kind: str) -> str:
    """Return a name that neither libpam nor sshd's `*.conf` takes for a file of theirs."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.trex-{kind}")
