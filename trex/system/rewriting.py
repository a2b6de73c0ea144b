"""Replacing a file as a whole, where others may be at it too and nobody may keep them out.

A writer makes a file of its own, under a name that no other has, in a directory beside. Then it
removes the files of all other writers, looks whether the file is still the one that it has read,
and renames. Of two that have read the same one, at most one gets there. Say A renames first. B has
looked before that, and removed before it looked, and did not find A's: so A's was made later. Then
A found B's, and B has nothing to rename. A writer that is stopped, frozen or killed at any moment
holds nobody up, and what it had in mind comes too late for ever.

All of this is done in the directory as it was opened, so that nobody who swaps it for another has a
file removed or made there. What is made begins with a dot, as the name of no account does: in a
directory of all users' files it is none of theirs.

It removes before it writes: whoever has a login of another's killed as it writes (kill(2), or
SIGXFSZ by setrlimit(2)) leaves one file there, and not one for each that was killed.

A lock (flock(2)) has writers take turns, so that they rarely remove each other's work. It is a
courtesy: who does not get it in TURN_SECONDS goes on without.
"""

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
else:
    import _signal as signal  # signal.py builds enumerations for a millisecond: not needed here

TURN_SECONDS = 1.0
PAUSE_SECONDS = 0.02
TRIES = 20
MOST = 1000  # files in that directory that one try removes: far fewer are a crash's
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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


def name_beside(path: str) -> str:
    """Return the name of the directory in which writers make what is to replace `path`."""
    return f".{os.path.basename(path)}~"


def replace(path: str, read: os.stat_result | None, content: bytes) -> None:
    """Do what `replace_in` does, in the directory of `path`."""
    directory = os.open(os.path.dirname(path), DIRECTORY)
    try:
        replace_in(directory, os.path.basename(path), read, content)
    finally:
        os.close(directory)


def replace_in(directory: int, name: str, read: os.stat_result | None, content: bytes) -> None:
    """Put `content` in the place of the file that was `read`, with its group and mode.

    `directory` is a descriptor. With None where there was no file: then its mode is 0600.
    Raises Overtaken or OSError: then it is what another writer has made of it, or what it was.
    """
    new, place = f".{os.urandom(16).hex()}", name_beside(name)
    beside, descriptor = _make(directory, place, new)
    try:
        if read:
            with suppress(PermissionError):  # a group that is not the user's; it may do nothing
                os.fchown(descriptor, -1, read.st_gid)
            os.fchmod(descriptor, read.st_mode & 0o7777)
        _remove_others(beside, new)
        _write(descriptor, content)
        _put(beside, new, directory, name, read)
    finally:
        with suppress(OSError):
            os.close(descriptor)
        with suppress(OSError):
            os.unlink(new, dir_fd=beside)
        with suppress(OSError):
            os.close(beside)
        with suppress(OSError):
            os.rmdir(place, dir_fd=directory)
    with suppress(OSError):  # some cannot be read, or synced; the rename itself was whole
        sync_directory(".", directory)


def _make(directory: int, place: str, new: str) -> tuple[int, int]:
    """Return descriptors of the directory beside and of a new file in it."""
    for _ in tries():
        with suppress(FileExistsError):
            os.mkdir(place, 0o700, dir_fd=directory)
        with suppress(FileNotFoundError):  # another writer is done, and has taken it away
            beside = os.open(place, LISTED, dir_fd=directory)
            try:
                return beside, os.open(new, NEW, 0o600, dir_fd=beside)
            except BaseException:
                os.close(beside)
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _remove_others(beside: int, new: str) -> None:
    """Raise Overtaken where more is left than one try removes: the next one goes on."""
    with os.scandir(beside) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST:
                raise Overtaken
            if entry.name != new:
                # What is a directory can never take the file's place.
                with suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(entry.name, dir_fd=beside)


def _put(beside: int, new: str, directory: int, name: str, read: os.stat_result | None) -> None:
    try:
        if read is None:
            os.link(new, name, src_dir_fd=beside, dst_dir_fd=directory, follow_symlinks=False)
        elif _is_unchanged(directory, name, read):  # as near to the rename as it can be
            os.rename(new, name, src_dir_fd=beside, dst_dir_fd=directory)
        else:
            raise Overtaken
    except (FileExistsError, FileNotFoundError):
        raise Overtaken from None


def _is_unchanged(directory: int, name: str, read: os.stat_result) -> bool:
    """Tell whether it is the file that was read, whose number the reader's descriptor keeps."""
    current = os.stat(name, dir_fd=directory, follow_symlinks=False)
    fields = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    return all(getattr(current, field) == getattr(read, field) for field in fields)


def _write(descriptor: int, content: bytes) -> None:
    with _no_signal_of_a_limit():
        while content:
            content = content[os.write(descriptor, content) :]
    os.fsync(descriptor)


@contextmanager
def _no_signal_of_a_limit() -> "Iterator[None]":
    """Have write(2) say EFBIG at a limit of the caller's (RLIMIT_FSIZE), and end nobody.

    Whoever calls su can set one: what was made must be taken away, and the log must tell.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGXFSZ,))
    was_pending = signal.SIGXFSZ in signal.sigpending()
    try:
        yield
    finally:
        if not was_pending and signal.SIGXFSZ in signal.sigpending():
            signal.sigtimedwait((signal.SIGXFSZ,), 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def sync_directory(path: str, directory: int | None = None) -> None:
    """Make what was renamed or removed in a directory last beyond a power cut (fsync(2)).

    `path` may be relative to `directory`, a descriptor. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
