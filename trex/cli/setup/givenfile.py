"""A file that a command is given: opened as whom it is about, or taken from standard input.

Neither root nor the account of central mode opens it: a link of a user's would choose what they
open. Only a file for root's own record is opened by root, who has named it. What the user may not
read comes by standard input, from whoever may.
"""

from __future__ import annotations

import codecs
import os
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from trex.system.privilege import Account

MAX_BYTES = 1 << 20  # keys with many signatures take several hundred kB
# The process that opens a file as its user has no standard input.
STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


@dataclass(frozen=True)
class Wanted:
    """What a command expects in its file, and how it is typed with standard input instead."""

    what: str
    made_by: str
    command: str
    argument: str


KEY = Wanted("a key", "gpg --armor --export KEY", "trex enroll", "--key -")


def read_given(user: Account, file: str, wanted: Wanted) -> tuple[bytes, str]:
    """Return what the file has, opened with the rights of `user`, and its name for messages.

    Raises CommandError.
    """
    if file in STANDARD_INPUT:
        source = "standard input"
        return checked(sys.stdin.buffer.read(MAX_BYTES + 1), source, wanted), source
    path = os.path.abspath(file)
    content = bytes.fromhex(run_as(user, lambda: _read(path, wanted).hex()))
    return checked(content, path, wanted), file


def checked(content: bytes, source: str, wanted: Wanted = KEY) -> bytes:
    """Return the content without a byte order mark. Raises CommandError if empty or too large."""
    if not content.strip():
        raise CommandError(f"{source}: expected {wanted.what}, found nothing", wanted.made_by)
    if len(content) > MAX_BYTES:
        hint = "gpg --armor --export-options export-minimal --export KEY"
        raise CommandError(f"{source}: expected at most {MAX_BYTES >> 20} MiB", hint)
    return content.removeprefix(codecs.BOM_UTF8)  # gpg reads no armor after one


def _read(path: str, wanted: Wanted) -> bytes:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(MAX_BYTES + 1) or b""
    except OSError as error:
        hint = _by_standard_input(path, wanted) if isinstance(error, PermissionError) else ""
        raise CommandError(f"{path}: {error.strerror}", hint) from None


def _by_standard_input(path: str, wanted: Wanted) -> str:
    """Return how whoever runs the command gives it a file that the user may not read."""
    if path.startswith(("/dev/fd/", "/proc/")):  # the shell's <(...), which is gone by then
        return f"COMMAND | {wanted.command} ... {wanted.argument}"
    return f"use {wanted.argument} < {shlex.quote(path)}"
