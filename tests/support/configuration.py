"""The host's configuration in the sandbox: what a test changes there is put back, so that none reaches another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

DIRECTORIES = tuple(
    Path("/etc", name)
    for name in ("", "pam.d", "security", "ssh", "ssh/sshd_config.d", "sudoers.d", "trex", "cron.d")
)
# Services that each test makes under a name of its own, and the tables of accounts, of which the sandbox
# has its own programs.
NOT_KEPT = ("pam.d/trex-", "passwd", "shadow", "group", "gshadow", "subuid", "subgid", ".pwd.lock")


class Kept(NamedTuple):
    """A file: its content, mode and owner."""

    content: bytes
    mode: int
    uid: int
    gid: int


READ: dict[Path, tuple[tuple[int, ...], Kept]] = {}  # what was read, and the file's state then


def configuration() -> dict[Path, Kept]:
    """Return the files that a test may change."""
    found = {}
    for directory in DIRECTORIES:
        if not directory.is_dir():
            continue
        for entry in os.scandir(directory):
            path = Path(entry.path)
            if entry.is_file(follow_symlinks=False) and not _is_left_alone(path):
                found[path] = _kept(path, entry.stat(follow_symlinks=False))
    return found


def put_back(before: dict[Path, Kept]) -> None:
    """Restore these files, and remove what has come since."""
    now = configuration()
    changed = [path for path in {**before, **now} if before.get(path) != now.get(path)]
    for path in changed:
        path.unlink(missing_ok=True)
        if path in before and path.parent.is_dir():
            kept = before[path]
            path.write_bytes(kept.content)
            os.chown(path, kept.uid, kept.gid)
            path.chmod(kept.mode & 0o7777)


def _kept(path: Path, status: os.stat_result) -> Kept:
    state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if path not in READ or READ[path][0] != state:
        READ[path] = (
            state,
            Kept(path.read_bytes(), status.st_mode, status.st_uid, status.st_gid),
        )
    return READ[path][1]


def _is_left_alone(path: Path) -> bool:
    return str(path.relative_to("/etc")).startswith(NOT_KEPT)
