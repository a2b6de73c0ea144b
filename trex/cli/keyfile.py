"""A public key in a file of its own, which the record names: written beside, tried, renamed."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from trex.cli.delegate import run_as
from trex.cli.terminal import CommandError, say
from trex.methods import place as expanded
from trex.privilege import readable
from trex.safefile import check_directories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.cli.place import Place

DEFAULT = "/etc/trex/keys/%u.pgp"
MODE = 0o644  # public keys, which the module reads with other rights than root's


def path_of(template: str, place: Place) -> str:
    """Return the path that a record can name. Raises CommandError for one that it cannot."""
    path = expanded(template, place.user)
    if not path.startswith("/") or any(sign in path for sign in " \t,") or not path.isprintable():
        raise CommandError(
            f"{readable(path)}: expected an absolute path without spaces and commas",
            f"--key-file {DEFAULT}",
        )
    return path


@contextmanager
def staged(place: Place, path: str, key: bytes) -> Iterator[str]:
    """Write `key` beside `path` for the block, to be tried out there; yield where.

    `settle` puts it in its place; without that nothing has changed. Raises CommandError.
    """
    made = os.path.join(os.path.dirname(path), f".{secrets.token_hex(4)}.new")
    try:
        run_as(place.writer, lambda: _write(place, made, key))
        yield made
    finally:
        run_as(place.writer, lambda: _remove(made))


def settle(place: Place, made: str, path: str) -> None:
    """Put the staged key in its place; a login sees the one or the other."""
    run_as(place.writer, lambda: os.rename(made, path))
    say(f"Written: {readable(path)}")


def _write(place: Place, made: str, key: bytes) -> None:
    directory = os.path.dirname(made)
    try:
        before = os.umask(0o022)  # the module reads in it with other rights
        os.makedirs(directory, mode=0o755, exist_ok=True)
        os.umask(before)
        check_directories(directory, place.writer)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(made, flags, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fchmod(file.fileno(), MODE)
            os.fsync(file.fileno())
    except OSError as error:
        raise CommandError(
            f"{readable(directory)}: {error.strerror}", f"install -d {readable(directory)}"
        ) from None


def _remove(made: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(made)
