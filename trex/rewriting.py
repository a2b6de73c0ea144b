"""Replacing a file as a whole, where others may be at it too and nobody may keep them out.

A writer makes a file of its own, under a name that no other has, in a directory beside. Then it
removes the files of all other writers, looks whether the file is still the one that it has read,
and renames. Of two that have read the same one, at most one gets there. Say A renames first. B has
looked before that, and removed before it looked, and did not find A's: so A's was made later. Then
A found B's, and B has nothing to rename. A writer that is stopped, frozen or killed at any moment
holds nobody up, and what it had in mind comes too late for ever.

A lock (flock(2)) has writers take turns, so that they rarely remove each other's work. It is a
courtesy: who does not get it in TURN_SECONDS goes on without.
"""

import errno
import fcntl
import os
from contextlib import suppress
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TURN_SECONDS = 1.0
PAUSE_SECONDS = 0.02
TRIES = 20
BESIDE = "~trex"
MOST = 1000  # files in that directory: nobody else makes any, so far fewer are a crash's
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Overtaken(Exception):
    """Another writer has replaced the file, or was about to: read it again, and try again."""


def take_turn(descriptor: int, deadline: float) -> bool:
    """Wait until `deadline` (monotonic) for a lock that ends with `descriptor`; tell if it came."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if monotonic() > deadline:
                return False
            sleep(PAUSE_SECONDS)
        except OSError:  # a network file system, or NFS and a file of mode 0400 (flock(2))
            return False


def tries() -> "Iterator[int]":
    """Count the tries of one writer, with pauses of random length between them."""
    for number in range(TRIES):
        if number:
            sleep(PAUSE_SECONDS * (1 + os.urandom(1)[0] / 64))
        yield number


def replace(path: str, read: os.stat_result | None, content: bytes) -> None:
    """Put `content` in the place of the file that was `read`, with its group and mode.

    With None where there was none: then its mode is 0600.
    Raises Overtaken or OSError: then it is what another writer has made of it, or what it was.
    """
    name = os.urandom(16).hex()
    directory, descriptor = _make(f"{path}{BESIDE}", name)
    try:
        if read:
            with suppress(PermissionError):  # a group that is not the user's; it may do nothing
                os.fchown(descriptor, -1, read.st_gid)
            os.fchmod(descriptor, read.st_mode & 0o7777)
        _write(descriptor, content)
        _remove_others(directory, name)
        _put(directory, name, path, read)
    finally:
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(name, dir_fd=directory)
        os.close(directory)
        with suppress(OSError):
            os.rmdir(f"{path}{BESIDE}")
    _sync_directory(path)


def _make(beside: str, name: str) -> tuple[int, int]:
    """Return descriptors of the directory and of a new file in it."""
    for _ in tries():
        with suppress(FileExistsError):
            os.mkdir(beside, 0o700)
        with suppress(FileNotFoundError):  # another writer is done, and has taken it away
            directory = os.open(beside, DIRECTORY)
            try:
                return directory, os.open(name, NEW, 0o600, dir_fd=directory)
            except BaseException:
                os.close(directory)
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _remove_others(directory: int, name: str) -> None:
    with os.scandir(directory) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST:
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            if entry.name != name:
                # What is a directory can never take the file's place.
                with suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(entry.name, dir_fd=directory)


def _put(directory: int, name: str, path: str, read: os.stat_result | None) -> None:
    try:
        if read is None:
            os.link(name, path, src_dir_fd=directory, follow_symlinks=False)
        elif _is_unchanged(path, read):  # the last thing, as near to the rename as it can be
            os.rename(name, path, src_dir_fd=directory)
        else:
            raise Overtaken
    except (FileExistsError, FileNotFoundError):
        raise Overtaken from None


def _is_unchanged(path: str, read: os.stat_result) -> bool:
    """Tell whether it is the file that was read, whose number the reader's descriptor keeps."""
    current = os.lstat(path)
    names = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    return all(getattr(current, name) == getattr(read, name) for name in names)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
    os.fsync(descriptor)


def _sync_directory(path: str) -> None:
    """See to it that the new file is the one after a power cut, too."""
    with suppress(OSError):  # some cannot be read, or synced; the rename itself was whole
        directory = os.open(os.path.dirname(path), DIRECTORY & ~os.O_NOFOLLOW)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
