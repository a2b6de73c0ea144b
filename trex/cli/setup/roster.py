"""Whom `trex enroll --from` enrols: a directory with a key file for each user, or a table.

Whoever can write there decides who logs in. So only root may, here and in each directory above.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trex.cli.delegate import hint_for
from trex.cli.errors import CommandError
from trex.cli.location import ROOT
from trex.cli.setup.givenfile import MAX_BYTES, checked
from trex.cli.setup.recordfile import check_parents
from trex.errors import FileUnsafe, one_line
from trex.system.privilege import readable
from trex.system.safefile import check_directories, read_safely

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDINGS = (".asc", ".gpg", ".pgp", ".key")
COLUMNS = ("user", "key", "fingerprint", "trust", "sign_as", "page")
MAX_TABLE = 4 << 20  # bytes; 10,000 users with fingerprints take one
READS = (
    "whoever can write there decides who logs in",
    "copy the keys to a directory of root's: install -d -m 0700 /root/login-keys",
)


@dataclass(frozen=True)
class Entry:
    """A user who is to be enrolled, as a file's name or a row of a table says.

    `place` is that file's name or row, for messages. `path` is the key's file, "" for a key that
    is in the keyring already. `settings` are the row's own, by the names of COLUMNS.
    """

    user: str
    place: str
    path: str
    fingerprints: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    def key(self) -> bytes:
        """Return the key file's content. Raises CommandError, FileUnsafe or NoRecord."""
        check_parents(self.path, ROOT, READS)
        content = read_safely(self.path, ROOT, MAX_BYTES)
        return checked(content, readable(self.path))


def read_roster(path: str) -> list[Entry]:
    """Return who is named in a directory or table. Raises CommandError, and for a bad row too."""
    path = os.path.abspath(path)
    check_parents(path, ROOT, READS)
    try:
        entries = list(_in_directory(path) if os.path.isdir(path) else _in_table(path))
    except FileUnsafe as error:
        raise CommandError(str(error), hint_for(error)) from None
    if not entries:
        raise CommandError(
            f"{readable(path)}: expected a file NAME.asc for each user, or a table, found nobody",
            "gpg --armor --export FINGERPRINT > NAME.asc",
        )
    return entries


def names_skipped(path: str) -> list[str]:
    """Return the names in a directory that are no key files by their ending, nor hidden."""
    names = sorted(os.listdir(path)) if os.path.isdir(path) else []
    return [name for name in names if not name.endswith(ENDINGS) and not name.startswith(".")]


def _in_directory(path: str) -> Iterator[Entry]:
    check_parents(os.path.join(path, "-"), ROOT, READS)
    check_directories(path, ROOT)
    if os.stat(path).st_mode & 0o022:  # also where it is sticky, as /tmp is
        raise CommandError(f"{readable(path)}: expected that only root writes in it", READS[1])
    for name in sorted(os.listdir(path)):
        stem, ending = os.path.splitext(name)
        if ending in ENDINGS:
            yield Entry(readable(stem), readable(name), os.path.join(path, name))


def _in_table(path: str) -> Iterator[Entry]:
    try:
        text = read_safely(path, ROOT, MAX_TABLE).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{readable(path)}: expected UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        names = [name.strip() for name in next(rows, [])]
        _check_columns(names, path)
        for row in rows:
            if any(cell.strip() for cell in row):
                yield _entry(names, [cell.strip() for cell in row], f"line {rows.line_num}", path)
    except csv.Error as error:
        raise CommandError(f"{readable(path)}: line {rows.line_num}: {error}") from None


def _check_columns(names: list[str], path: str) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "user" not in names or len(set(names)) != len(names):
        raise CommandError(
            f"{readable(path)}: line 1: expected some of {', '.join(COLUMNS)}, each once, "
            f"found {one_line(','.join(names)) or 'nothing'}",
            "the first line names the columns: user,key,fingerprint",
        )


def _entry(names: list[str], cells: list[str], place: str, path: str) -> Entry:
    if len(cells) > len(names):
        raise CommandError(
            f"{readable(path)}: {place}: expected {len(names)} cells, found {len(cells)}",
            'several fingerprints go between quotes: "FPR,FPR"',
        )
    cell = {name: text for name, text in zip(names, cells, strict=False) if text}
    fingerprints = tuple(cell.pop("fingerprint", "").split(",")) if "fingerprint" in cell else ()
    user, key = cell.pop("user", ""), cell.pop("key", "")
    if not user or not (key or fingerprints):
        raise CommandError(f"{readable(path)}: {place}: expected a user, and a key or fingerprint")
    file = os.path.join(os.path.dirname(path), key) if key else ""
    return Entry(user, place, file, fingerprints, cell)
