"""From a file and its new text to an edit that can be taken back, and what an edit looks like."""

from __future__ import annotations

import os
import stat
from difflib import unified_diff
from typing import TYPE_CHECKING

from trex.cli.activation.change import MAX_SIZE, read_text
from trex.cli.activation.plan import Edit
from trex.cli.errors import CommandError
from trex.cli.installed import document
from trex.cli.location import ROOT
from trex.errors import FileUnsafe
from trex.system.safefile import check_directories

if TYPE_CHECKING:
    from collections.abc import Iterable

USUAL = 0o644
NOTHING_CHANGED = "nothing was changed"


def edit_of(path: str, after: str) -> Edit:
    """Return the edit that gives the file at `path`, or behind a link there, the text `after`.

    Raises CommandError for what cannot be replaced: no regular file, one of several hard links, or
    what others than root can replace.
    """
    real = os.path.realpath(path)
    try:
        check_directories(os.path.dirname(real), ROOT)
        if not os.path.lexists(real):
            return Edit(real, None, None, after, USUAL, 0, 0)
        status = os.lstat(real)
        _check(real, status)
        before = read_text(real)
    except FileUnsafe as error:
        raise CommandError(str(error), f"{NOTHING_CHANGED}; only root may write there") from None
    except OSError as error:
        raise CommandError(f"{real}: {error.strerror}", NOTHING_CHANGED) from None
    mode = stat.S_IMODE(status.st_mode)
    return Edit(real, before, before, after, mode, status.st_uid, status.st_gid)


def _check(real: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CommandError(f"{real}: expected a regular file", NOTHING_CHANGED)
    if status.st_size > MAX_SIZE:
        raise CommandError(f"{real}: expected at most {MAX_SIZE >> 20} MiB", NOTHING_CHANGED)
    if status.st_nlink > 1:
        raise CommandError(
            f"{real} has {status.st_nlink} hard links, and a new file would part them",
            f"{NOTHING_CHANGED}; {document('docs/configuration.md')} has the steps by hand",
        )


def unified_difference(edits: Iterable[Edit]) -> str:
    """Return what the edits change, as `diff -u` shows it."""
    return "\n".join(between(edit.path, edit.before, edit.path, edit.after) for edit in edits)


def between(name: str, one: str | None, other_name: str, other: str | None) -> str:
    """Return the difference of two texts; None is a file that is not there."""
    lines = unified_diff(
        (one or "").splitlines(),
        (other or "").splitlines(),
        name if one is not None else "/dev/null",
        other_name if other is not None else "/dev/null",
        lineterm="",
    )
    return "\n".join(lines)
