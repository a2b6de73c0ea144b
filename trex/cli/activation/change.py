"""The files of an activation: read, staged beside, put in their place, and put back.

Everything that needs space on the disk is done while nothing is changed: new and old file both wait
beside the one in use. What changes a file, or takes that back, is one rename(2) each.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.activation.plan import STATE
from trex.cli.errors import CommandError
from trex.system.rewriting import sync_directory

if TYPE_CHECKING:
    from trex.cli.activation.plan import Activation, Edit

MAX_SIZE = 1 << 20  # bytes
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_text(path: str) -> str | None:
    """Return a file's text, None if there is none. Raises OSError."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_SIZE).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def stage(edit: Edit) -> None:
    """Have the new and the old file wait beside the one in use. Raises OSError."""
    for path, text in ((edit.new, edit.after), (edit.old, edit.before)):
        with suppress(FileNotFoundError):
            os.unlink(path)  # left by an attempt that was killed
        if text is not None:
            _write(path, text, edit)
    sync_directory(os.path.dirname(edit.path))


def put(edit: Edit) -> None:
    """Put the new file in its place.

    Raises OSError, FileNotFoundError after the way back has been; CommandError if the file is
    another than the one that was shown.
    """
    if read_text(edit.path) != edit.before:
        raise CommandError(f"{edit.path} was changed meanwhile", "look at it, and try again")
    os.rename(edit.new, edit.path)
    sync_directory(os.path.dirname(edit.path))


def put_back(edit: Edit) -> None:
    """Restore the file as it was before; what somebody else has made of it is kept in STATE.

    Raises OSError with the file as it was found.
    """
    current = read_text(edit.path)
    if current is not None and current not in (edit.before, edit.after):
        _keep(edit, current)
    if current != edit.before and edit.before is None:
        os.unlink(edit.path)
    elif current != edit.before:
        if _text_or_none(edit.old) != edit.before:
            with suppress(FileNotFoundError):
                os.unlink(edit.old)
            _write(edit.old, edit.before or "", edit)
        os.rename(edit.old, edit.path)
    sync_directory(os.path.dirname(edit.path))


def unstage(plan: Activation, *, only_new: bool = False) -> None:
    """Remove what waits beside the files: a stopped `trex activate` has nothing to put any more."""
    for edit in plan.edits:
        for path in (edit.new,) if only_new else (edit.new, edit.old):
            if os.path.lexists(path):  # else a disk that cannot be written would be an error here
                os.unlink(path)


def _write(path: str, text: str, edit: Edit) -> None:
    """Write a file with the access of the one that it becomes, access lists and labels included."""
    with open(os.open(path, FLAGS, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        os.fchown(file.fileno(), edit.uid, edit.gid)
        if os.path.exists(edit.path):
            shutil.copystat(edit.path, path)
        os.fchmod(file.fileno(), edit.mode)
        os.utime(file.fileno())  # it is new for editors and backups
        os.fsync(file.fileno())


def _keep(edit: Edit, text: str) -> None:
    """Keep a copy; if that fails, getting back is what counts."""
    with suppress(OSError):
        path = os.path.join(STATE, f"edited-{os.path.basename(edit.path)}")
        with suppress(FileNotFoundError):
            os.unlink(path)
        with open(os.open(path, FLAGS, 0o600), "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))


def _text_or_none(path: str) -> str | None:
    try:
        return read_text(path)
    except OSError:
        return None
