"""The user's own files: a marked block is put in or taken out, and every other byte stays.

The block is put at the end, and one line end before it, so that taking both out again restores the
file exactly, whether or not its last line was complete. A file that holds nothing but the block was
made for it, and is removed with it.

Only what belongs to the user is written: a symbolic link is followed to such a file. The new
content is complete on the disk before it takes the file's place.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGIN, END = "# >>> trex setup >>>", "# <<< trex setup <<<"
BLOCK = re.compile(
    rb"(?m)^"
    + re.escape(BEGIN).encode()
    + rb"\n(?:.*\n)*?"
    + re.escape(END).encode()
    + rb"(?:\n|\Z)"
)
MARK = re.compile(rb"(?m)^(?:# >>> trex setup >>>|# <<< trex setup <<<)")
MAX_SIZE = 4 << 20  # bytes
PRIVATE, USUAL = 0o600, 0o644  # modes of new files


@dataclass(frozen=True)
class Change:
    """A file's content before and after; None where there is no file."""

    path: str  # absolute, as the user knows it
    before: bytes | None
    after: bytes | None
    mode: int = USUAL  # if it is new

    @property
    def undone(self) -> Change:
        """Return the change that restores what was before."""
        return Change(self.path, self.after, self.before, self.mode)


def read_dotfile(path: str) -> bytes | None:
    """Return a file's content, None if there is none.

    Raises CommandError for what cannot be replaced: another user's file, a link to nowhere, a
    directory, one of several hard links.
    """
    if not os.path.lexists(path):
        return None
    real = os.path.realpath(path)
    shown = path if real == path else f"{path}, a link to {real},"
    try:
        status = os.stat(real)
        if not stat.S_ISREG(status.st_mode):
            raise CommandError(f"{shown} is not a file", _by_hand(path))
        if status.st_uid != os.geteuid():
            raise CommandError(f"{shown} belongs to another user", _by_hand(path))
        if status.st_nlink > 1:
            raise CommandError(
                f"{shown} has {status.st_nlink} hard links, and a new file would part them",
                _by_hand(path),
            )
        with open(real, "rb") as file:
            content = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise CommandError(f"{shown}: {error.strerror}", _by_hand(path)) from None
    if len(content) > MAX_SIZE:
        raise CommandError(f"{path}: expected at most {MAX_SIZE >> 20} MiB", _by_hand(path))
    return content


def has_block(path: str) -> bool:
    """Return whether a file holds a block, or parts of one; False if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return bool(MARK.search(file.read(MAX_SIZE)))
    except OSError:
        return False


def with_block(content: bytes | None, lines: Iterable[str]) -> bytes:
    """Return the content with one block of these lines, at the end.

    A block that is right already stays where it is. Raises CommandError for a damaged block.
    """
    block = "".join(f"{line}\n" for line in (BEGIN, *lines, END)).encode()
    found = _find(content or b"")
    if content and found and found[0] == block:
        return content
    rest = without_block(content)
    return block if rest is None else rest + b"\n" + block


def without_block(content: bytes | None) -> bytes | None:
    """Return the content as it was without the block; None if the file was made for it."""
    found = _find(content or b"")
    if content is None or found is None:
        return content
    if found[0] == content:
        return None
    before, after = content[: found.start()].removesuffix(b"\n"), content[found.end() :]
    # What somebody has added behind the block does not become a part of the line before it.
    kept = b"\n" if before and after and not before.endswith(b"\n") else b""
    return before + kept + after


def _find(content: bytes) -> re.Match[bytes] | None:
    found = BLOCK.search(content)
    if len(MARK.findall(content)) != (2 if found else 0):
        raise CommandError(
            f"expected one block between the lines {BEGIN!r} and {END!r}, found parts of others",
            "take these lines and what is between them out by hand",
        )
    return found


def apply(changes: list[Change]) -> None:
    """Make all changes. If one fails, those before it are undone, and its error is raised."""
    try:
        for change in changes:
            _write(change)
    except BaseException:
        kept = [change.path for change in reversed(changes) if not _undo(change)]
        if kept:
            raise CommandError(
                f"these files stay changed, because undoing failed: {', '.join(kept)}",
                "trex setup --undo",
            ) from None
        raise


def _undo(change: Change) -> bool:
    """Restore a file if it was changed; return whether it is as before."""
    try:
        if read_dotfile(change.path) == change.after != change.before:
            _write(change.undone)
    except CommandError:
        return False
    return True


def _write(change: Change) -> None:
    """Replace, make or remove one file. Raises CommandError."""
    real = os.path.realpath(change.path)
    if read_dotfile(change.path) != change.before:
        raise CommandError(f"{change.path} was changed meanwhile", "look at it, and try again")
    try:
        if change.after is None:
            os.unlink(real)
            return
        directory = os.path.dirname(real)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _replace(real, directory, change)
    except OSError as error:
        raise CommandError(f"{change.path}: {error.strerror}", _by_hand(change.path)) from None


def _replace(real: str, directory: str, change: Change) -> None:
    descriptor, new = tempfile.mkstemp(prefix=".trex-setup-", dir=directory)
    try:
        with open(descriptor, "wb") as file:
            file.write(change.after or b"")
            if change.before is None:
                os.fchmod(descriptor, change.mode)
            else:
                _copy_access(real, new, descriptor)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, real)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def _copy_access(real: str, new: str, descriptor: int) -> None:
    """Give the new file the old one's group, mode and extended attributes, access lists too."""
    status = os.stat(real)
    if status.st_gid != os.fstat(descriptor).st_gid:
        os.fchown(descriptor, -1, status.st_gid)
    shutil.copystat(real, new)
    os.utime(new)  # it is new for editors and backups


def _by_hand(path: str) -> str:
    return f"nothing was changed; {shlex.quote(path)} has to be a file of yours"
