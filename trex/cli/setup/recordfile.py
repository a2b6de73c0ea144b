"""The record's file: read before a change, copied beside, replaced in one step."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trex.cli.delegate import FILE_SECONDS, run_as
from trex.cli.errors import CommandError
from trex.errors import TrexError
from trex.openpgp.record import LEAVE_OUT_UNUSABLE, NOTE, TWO, TWO_OF, is_note, parse_record
from trex.system.privilege import readable
from trex.system.rewriting import sync_directory
from trex.system.safefile import MAX_SIZE, SAFELY, check_directories

if TYPE_CHECKING:
    from trex.system.privilege import Account

BACKUP = "~"
BLANKS = "\ufeff \t\r"
OWNER = re.compile(rb"# [^<>]*<[^<>]+@[^<>]+>")  # a user id with an address, as a comment


@dataclass
class Fields:
    """The fields of a record, as they are written."""

    recipients: list[str] = field(default_factory=list)
    trust: str = "trust"
    sign_as: str = "nosign"
    page: list[str] = field(default_factory=list)  # mode, then the TLS files
    uid: int | None = None  # for whose account, if the record says it
    leaves_out: bool = False
    needed: int = 1  # how many of the recipients answer

    def line(self) -> str:
        """Return the record's line."""
        who = (TWO_OF if self.needed > 1 else "") + ",".join(self.recipients)
        return " ".join([who, self.trust, self.sign_as, *self.page])

    def notes(self) -> list[str]:
        """Return the lines before it that the module reads."""
        uid = [] if self.uid is None else [f"uid={self.uid}"]
        return [f"# {NOTE} {word}" for word in [*uid, *[LEAVE_OUT_UNUSABLE] * self.leaves_out]]


def read_existing(path: str) -> bytes | None:
    """Return the file's content, None if there is none. Raises CommandError for another kind."""
    try:
        descriptor = os.open(path, SAFELY)
    except FileNotFoundError:
        return None
    except OSError as error:
        quoted = shlex.quote(readable(path))
        hint = f"rm {quoted}" if os.path.islink(path) else f"ls -ld {quoted}"
        found = "a symbolic link" if os.path.islink(path) else f'"{error.strerror}"'
        raise CommandError(
            f"{readable(path)}: expected a regular file, found {found}", hint
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        hint = f"ls -ld {shlex.quote(readable(path))}"
        raise CommandError(f"{readable(path)}: expected a regular file", hint)
    with open(descriptor, "rb") as file:
        content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise CommandError(
            f"{readable(path)}: expected at most {MAX_SIZE >> 10} KiB, found a larger file",
            "move it away",
        )
    return content


def read_as(account: Account, path: str) -> bytes | None:
    """Do what `read_existing` does, with the rights of `account`."""

    def read() -> str | None:
        if account.uid == 0:
            check_parents(path, account)
        content = read_existing(path)
        return None if content is None else content.decode("utf-8", "surrogateescape")

    text = run_as(account, read, FILE_SECONDS)
    return None if text is None else str(text).encode("utf-8", "surrogateescape")


WRITES = (
    "root writes only where no user can change the path",
    "use a directory of root's, such as /etc/trex/users",
)


def check_parents(path: str, writer: Account, why: tuple[str, str] = WRITES) -> None:
    """Check that only `writer` decides where `path` leads; `why` is a reason and a hint.

    In a user's directory, or behind a user's link, that user decides where root writes.
    Raises CommandError, or FileUnsafe as `check_directories` does.
    """
    directory = os.path.dirname(path)
    if writer.uid == 0:
        for part in _parts(directory):
            owner = os.lstat(part).st_uid
            if owner != 0:
                raise CommandError(
                    f"{readable(part)}: expected owner root, found owner uid {owner}: {why[0]}",
                    why[1],
                )
    check_directories(directory, writer)


def _parts(directory: str) -> list[str]:
    """Return a directory and all its parents that exist, from the top."""
    parts = [directory]
    while parts[-1] not in ("/", ""):
        parts.append(os.path.dirname(parts[-1]))
    return [part for part in reversed(parts) if part and os.path.lexists(part)]


def fields_of(content: bytes, path: str, home: str) -> Fields:
    """Return the fields of the record in `content`; defaults for one that cannot be used.

    But one that asked for two people, however wrong it is, is not followed by one that does not.
    """
    try:
        record = parse_record(content, path, home)
    except TrexError:
        lines = (line.strip() for line in content.split(b"\n"))
        asks_two = any(line.startswith(TWO_OF.encode()) for line in lines)
        return Fields(needed=TWO if asks_two else 1)
    words = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")[record.line - 1].decode().split()
    return Fields(
        record.recipients, words[1], record.sign_as or "nosign", words[3:], record.uid,
        leaves_out=record.leaves_out, needed=record.needed,
    )  # fmt: skip


def with_record(content: bytes | None, fields: Fields, comment: str, path: str) -> bytes:
    """Return `content` with its record and notes replaced; comments and other lines stay.

    Content without a valid record is replaced as a whole. `comment` may be a user id, whose owner
    chose it: it never becomes a note.
    """
    new = [line.encode() for line in [*fields.notes(), fields.line()]]
    try:
        number = parse_record(content or b"", path, "/").line
    except TrexError:
        told = f'"{comment}"' if is_note(f"# {comment}") else comment
        return b"\n".join([f"# {told}".encode(), *new, b""])
    lines = (content or b"").split(b"\n")
    kept = lines[: number - 1]
    if fields_of(content or b"", path, "/").notes() != fields.notes():
        kept = [line for line in kept if not is_note(line.decode().strip(BLANKS))]
    else:
        new = new[-1:]
    return b"\n".join([*kept, *new, *lines[number:]]).rstrip(b"\n") + b"\n"


def with_owner(content: bytes, comment: str) -> bytes:
    """Return a record with another key's user id above it, in place of the earlier key's.

    Only as `with_record` writes it: in the first line, with nothing but notes down to the record.
    """
    head, *lines = content.split(b"\n")
    below = [line for line in lines if not is_note(line.decode("utf-8", "replace"))]
    is_above = OWNER.fullmatch(head) and below and not below[0].startswith(b"#")
    if not comment or not is_above or is_note(f"# {comment}"):
        return content
    return b"\n".join([f"# {comment}".encode(), *lines])


def has_right_access(path: str, uid: int, mode: int, gid: int) -> bool:
    """Return whether owner and mode are right, and the group if `mode` lets it read."""
    status = os.lstat(path)
    is_readable = status.st_gid == gid or not mode & stat.S_IRGRP
    return status.st_uid == uid and stat.S_IMODE(status.st_mode) == mode and is_readable


def replace_record(path: str, content: bytes, before: bytes | None, mode: int, gid: int) -> None:
    """Write the record in one step, after a copy of `before`; a login sees the old or the new one.

    Raises OSError with nothing changed, CommandError if the file has changed since it was read.
    """
    if before is not None:
        _write(path + BACKUP, before, mode, gid)
    _check_unchanged(path, before)
    _write(path, content, mode, gid)


def remove(path: str, before: bytes, mode: int, gid: int) -> None:
    """Copy the record, then remove it.

    Raises OSError with nothing changed, CommandError if the file has changed since it was read.
    """
    _write(path + BACKUP, before, mode, gid)
    _check_unchanged(path, before)
    os.unlink(path)
    sync_directory(os.path.dirname(path))


def _check_unchanged(path: str, before: bytes | None) -> None:
    if read_existing(path) != before:
        raise CommandError(
            f"{readable(path)}: another program has changed it", "look at it and try again"
        )


def _write(path: str, content: bytes, mode: int, gid: int) -> None:
    """Write a file beside `path` and rename it. Signals are blocked, so that nothing stays."""
    directory, name = os.path.split(path)
    # No account's name begins with a dot: in a directory of all records it is nobody's record.
    made = os.path.join(directory, f".{name}.{secrets.token_hex(4)}.new")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        _write_new(made, content, mode, gid)
        os.rename(made, path)
        sync_directory(os.path.dirname(path))
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(made)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _write_new(path: str, content: bytes, mode: int, gid: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fchown(file.fileno(), -1, gid)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
