"""Replacing a file as a whole, with concurrent writers of which none can block the others.

A writer creates a file with a unique name in a directory beside. Then it removes the files of all
other writers, checks that the target is still the file that it read, and renames its own. Of two
writers that read the same file, at most one succeeds. Assume that both would, and A renames first.
B checked before that, and removed before it checked, without finding A's file: so A's file was
created after that. Then A found B's file and removed it, and B has nothing to rename. A writer that
is stopped, frozen or killed at any time blocks nobody, and can never write later what it had read.

All of this uses the directory's descriptor, so that somebody who swaps the directory for another
one cannot have a file removed or created there. The names begin with a dot, as no account's name
does: in a directory of all users' files they belong to nobody.

A writer removes before it writes. So if somebody has another's logins killed while they write
(kill(2), or SIGXFSZ by setrlimit(2)), one file is left there, not one for each login.

A lock (flock(2)) makes writers take turns, so that they rarely remove each other's work. It is
optional: a writer that does not get it in TURN_SECONDS continues without it.
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
    import _signal as signal  # signal.py takes a millisecond to build enumerations

TURN_SECONDS = 1.0
PAUSE_SECONDS = 0.02
TRIES = 20
MOST = 1000  # files in that directory that one attempt removes; crashes leave far fewer
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Overtaken(Exception):
    """Another writer replaced the file, or was about to: read it again, and try again."""


def take_turn(descriptor: int, deadline: float) -> bool:
    """Wait until `deadline` (monotonic) for a lock on `descriptor`; tell whether it was granted."""
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
    """Count one writer's attempts, with pauses of random length between them."""
    for number in range(TRIES):
        if number:
            sleep(PAUSE_SECONDS * (1 + os.urandom(1)[0] / 64))
        yield number


def name_beside(path: str) -> str:
    """Return the name of the directory in which writers create replacements for `path`."""
    return f".{os.path.basename(path)}~"


def replace(path: str, read: os.stat_result | None, content: bytes) -> None:
    """Call `replace_in` with the directory of `path`."""
    directory = os.open(os.path.dirname(path), DIRECTORY)
    try:
        replace_in(directory, os.path.basename(path), read, content)
    finally:
        os.close(directory)


def replace_in(directory: int, name: str, read: os.stat_result | None, content: bytes) -> None:
    """Replace the file whose status was `read` with `content`, keeping its group and mode.

    `directory` is a descriptor. `read` is None if there was no file: then the mode is 0600.
    Raises Overtaken or OSError: then the file is another writer's, or unchanged.
    """
    new, beside_name = f".{os.urandom(16).hex()}", name_beside(name)
    beside, descriptor = _make(directory, beside_name, new)
    try:
        if read:
            with suppress(PermissionError):  # a group without the user; it may grant nothing
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
            os.rmdir(beside_name, dir_fd=directory)
    with suppress(OSError):  # some directories cannot be read or synced; the rename was atomic
        sync_directory(".", directory)


def remove_in(directory: int, name: str) -> None:
    """Remove a file so that no writer who has read it can bring it back; it needs no space.

    A writer who checked before that has a file in the directory beside, or has renamed it already:
    then the file is there again, and is removed once more. Raises Overtaken or OSError.
    """
    for _ in tries():
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        with suppress(Overtaken):
            _end_writers(directory, name_beside(name))
            if not _is_there(directory, name):
                return
    raise Overtaken


def _end_writers(directory: int, beside_name: str) -> None:
    with suppress(OSError):  # if no writer is there, neither is the directory
        beside = os.open(beside_name, LISTED, dir_fd=directory)
        try:
            _remove_others(beside, "")
        finally:
            os.close(beside)
        os.rmdir(beside_name, dir_fd=directory)


def _is_there(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _make(directory: int, beside_name: str, new: str) -> tuple[int, int]:
    """Return descriptors of the directory beside and of a new file in it."""
    for _ in tries():
        with suppress(FileExistsError):
            os.mkdir(beside_name, 0o700, dir_fd=directory)
        with suppress(FileNotFoundError):  # another writer has finished, and removed it
            beside = os.open(beside_name, LISTED, dir_fd=directory)
            try:
                return beside, os.open(new, NEW, 0o600, dir_fd=beside)
            except BaseException:
                os.close(beside)
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _remove_others(beside: int, new: str) -> None:
    """Raise Overtaken if there is more than one attempt removes: the next one continues."""
    with os.scandir(beside) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST:
                raise Overtaken
            if entry.name != new:
                # A directory can never replace the file.
                with suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(entry.name, dir_fd=beside)


def _put(beside: int, new: str, directory: int, name: str, read: os.stat_result | None) -> None:
    try:
        if read is None:
            os.link(new, name, src_dir_fd=beside, dst_dir_fd=directory, follow_symlinks=False)
        elif _is_unchanged(directory, name, read):  # as close to the rename as possible
            os.rename(new, name, src_dir_fd=beside, dst_dir_fd=directory)
        else:
            raise Overtaken
    except (FileExistsError, FileNotFoundError):
        raise Overtaken from None


def _is_unchanged(directory: int, name: str, read: os.stat_result) -> bool:
    """Tell whether it is the file that was read; the reader's descriptor keeps its inode in use."""
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
    """Make write(2) fail with EFBIG at the caller's RLIMIT_FSIZE, instead of ending the process.

    Whoever calls su can set that limit: the new file has to be removed, and the log has to say so.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGXFSZ,))
    was_pending = signal.SIGXFSZ in signal.sigpending()
    try:
        yield
    finally:
        if not was_pending and signal.SIGXFSZ in signal.sigpending():
            signal.sigtimedwait((signal.SIGXFSZ,), 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def write_durably(path: str, made: str, content: bytes, mode: int) -> None:
    """Write a file of root's in one step, so that it survives a power cut.

    `made` is where it is written first, in the same directory. Raises OSError, FileExistsError too
    where `made` is there; then `path` is as it was.
    """
    descriptor = os.open(made, NEW, 0o600)
    try:
        try:
            os.fchmod(descriptor, mode)
            _write(descriptor, content)
        finally:
            os.close(descriptor)
        os.rename(made, path)
        sync_directory(os.path.dirname(path))
    except BaseException:
        with suppress(OSError):
            os.unlink(made)
        raise


def sync_directory(path: str, directory: int | None = None) -> None:
    """Make a rename or removal in a directory survive a power cut (fsync(2)).

    `path` may be relative to `directory`, a descriptor. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
