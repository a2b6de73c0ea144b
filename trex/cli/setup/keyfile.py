"""A public key in a separate file that the record names: written beside, tested, renamed."""

from __future__ import annotations

import os
import secrets
import shlex
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.setup import recordfile
from trex.cli.setup.others import named_elsewhere
from trex.errors import FileUnsafe
from trex.login.method import expand_path
from trex.openpgp.recipients import from_file
from trex.system.privilege import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trex.cli.location import Location

DEFAULT = "/etc/trex/keys/%u.pgp"
MODE = 0o644  # public keys; the module reads them without root's rights


def path_of(template: str, location: Location) -> str:
    """Return the expanded path. Raises CommandError for one that no record can name."""
    path = expand_path(template, location.user)
    if not path.startswith("/") or any(sign in path for sign in " \t,") or not path.isprintable():
        raise CommandError(
            f"{readable(path)}: expected an absolute path without spaces and commas",
            f"--key-file {DEFAULT}",
        )
    return path


def read(location: Location, path: str) -> bytes | None:
    """Return the existing key, None if there is no file. Raises CommandError for anything else."""
    if path == location.record:
        raise CommandError(
            f"{readable(path)}: expected another path than the record's", f"--key-file {DEFAULT}"
        )

    def read_key() -> str | None:
        directory = os.path.dirname(path)
        recordfile.check_parents(path if os.path.isdir(directory) else directory, location.writer)
        content = recordfile.read_existing(path)
        if content is not None:
            from_file(readable(path), content)
        return None if content is None else content.hex()

    try:
        text = run_as(location.writer, read_key)
    except FileUnsafe as error:
        raise CommandError(str(error), f"--key-file {DEFAULT}") from None
    return None if text is None else bytes.fromhex(str(text))


@contextmanager
def staged(location: Location, path: str, key: bytes) -> Iterator[str]:
    """Write `key` beside `path` for the duration of the block; yield the path for a test.

    Raises CommandError.
    """
    made = os.path.join(os.path.dirname(path), f".{secrets.token_hex(4)}.new")
    try:
        run_as(location.writer, lambda: _write_new(location, made, key))
        yield made
    finally:
        run_as(location.writer, lambda: _remove(made))


@contextmanager
def replaced(
    location: Location, path: str, key: bytes, before: bytes | None, may_undo: Callable[[], bool]
) -> Iterator[None]:  # fmt: skip
    """Replace the key file, keeping a copy; if the block fails and `may_undo` says so, undo that.

    A login sees the old or the new key. Raises CommandError if the file is no longer `before`, or
    another record names it, as after the renaming of its account: that user would lose their key to
    this one.
    """
    if before is not None:
        _check_own(location, path)
    run_as(location.writer, lambda: _write(location, path, key, before))
    try:
        yield
    except BaseException:  # the record was not written, so it may name the old key
        if not may_undo():
            raise
        if before is None:
            run_as(location.writer, lambda: _remove(path))
        else:
            run_as(location.writer, lambda: _write(location, path, before, key))
        raise


def is_current(location: Location, path: str, key: bytes, before: bytes | None) -> bool:
    """Return whether the file has this key already, and the right owner and mode."""
    writer = location.writer
    return key == before and run_as(
        writer, lambda: recordfile.has_right_access(path, writer.uid, MODE, writer.gid)
    )


def _write_new(location: Location, path: str, key: bytes) -> None:
    _make_directory(path, location)
    _write(location, path, key, None)


def _check_own(location: Location, path: str) -> None:
    named = run_as(location.writer, lambda: named_elsewhere(location))
    if others := [name for name, keys in named.items() if readable(path) in keys]:
        raise CommandError(
            f"{readable(path)}: the record of {others[0]} names this file, with another key in it",
            "--key-file with another path",
        )


def put_revoked(location: Location, path: str, key: bytes) -> None:
    """Replace a key by the same one, revoked: for every record that names the file."""
    before = read(location, path)
    run_as(location.writer, lambda: _write(location, path, key, before))


def remove_key(location: Location, path: str) -> None:
    """Remove the key file, keeping a copy. Raises CommandError."""
    before = read(location, path)
    if before is None:
        return

    def take_away() -> None:
        recordfile.check_parents(path, location.writer)
        try:
            recordfile.remove(path, before, MODE, location.writer.gid)
        except OSError as error:
            raise CommandError(f"{readable(path)}: {error.strerror}", "") from None

    run_as(location.writer, take_away)


def _write(location: Location, path: str, key: bytes, before: bytes | None) -> None:
    recordfile.check_parents(path, location.writer)
    try:
        recordfile.replace_record(path, key, before, MODE, location.writer.gid)
    except OSError as error:
        raise CommandError(f"{readable(path)}: {error.strerror}", "is the disk full?") from None


def _make_directory(path: str, location: Location) -> None:
    """Create the file's directory, if it does not exist."""
    directory = os.path.dirname(path)
    recordfile.check_parents(directory, location.writer)
    try:
        if not os.path.isdir(directory):
            os.mkdir(directory)
            os.chmod(directory, 0o755)  # noqa: S103 (the module reads in it with other rights)
    except OSError as error:
        raise CommandError(
            f"{readable(directory)}: {error.strerror}",
            f"install -d {shlex.quote(readable(directory))}",
        ) from None


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
