"""Reading and replacing google-authenticator's file, one login at a time, with its owner's rights.

A lock (flock(2)) on the file itself has the logins of one host take turns. Who has it writes
`.<file>~`, made with O_EXCL, looks whether the file is still the one that was read, and renames:
that is what keeps writers apart where there are no locks. The lock tells a `.<file>~` that a crash
has left from one that is in use. It begins with a dot, as the name of no account does: in a
directory of all users' files it is none of theirs. All of this is done in the directory as it was
opened, so that nobody who swaps it for another has a file removed or made there.

google-authenticator takes no lock. It writes `<file>~XXXXXX`, looks in the same way, and renames
(20191231; earlier versions wrote `<file>~`). Between its look and its rename nothing holds it back,
neither another google-authenticator nor Trex: only for Trex is one code one login.
"""

import fcntl
import os
import stat
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic, sleep, time

from trex.codeerrors import StateNotWritten
from trex.errors import FileUnsafe, NoRecord
from trex.privilege import acting_as, readable
from trex.safefile import MAX_SIZE, check_directories, open_safely, read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.privilege import Account

FORBIDDEN = 0o3177  # all but reading and writing by the owner, as google-authenticator has it
LOCK_SECONDS = 5.0
PAUSE_SECONDS = 0.02
STALE_SECONDS = 30  # google-authenticator needs milliseconds
DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_LOCKS = (9, 37, 95)  # EBADF, ENOLCK, EOPNOTSUPP: a network file system (flock(2))


def read_secret(path: str, account: "Account") -> bytes:
    """Return the file's content, if nobody but `account` may read or write it.

    Raises NoRecord, FileUnsafe.
    """
    with acting_as(account):
        descriptor = _open(path, account)
        try:
            return read_whole(descriptor, path)
        finally:
            os.close(descriptor)


def create_secret(path: str, account: "Account", content: bytes) -> None:
    """Make the file, mode 0600, where there is none.

    Raises StateNotWritten, and FileUnsafe for a directory in which others could replace it.
    """
    place, beside, name = os.path.dirname(path), name_beside(path), os.path.basename(path)
    with acting_as(account), ExitStack() as opened:
        try:
            directory = os.open(place, DIRECTORY)
            opened.callback(os.close, directory)
            check_directories(f"/proc/self/fd/{directory}", account)
            descriptor = os.open(beside, NEW, 0o600, dir_fd=directory)
            try:
                _write(descriptor, content)
                # A rename would replace what somebody else has just made.
                os.link(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
            finally:
                os.close(descriptor)
                os.unlink(beside, dir_fd=directory)
            _sync_directory(directory)
        except OSError as error:
            reason = f"{readable(path)} cannot be made: {error.strerror}"
            raise StateNotWritten(reason) from None


def name_beside(path: str) -> str:
    """Return the name of what is written beside `path`, in its directory."""
    return f".{os.path.basename(path)}~"


class LockedFile:
    """The file as it was read, held against other logins until `with` ends."""

    def __init__(
        self, path: str, account: "Account", descriptor: int, directory: int, *, locked: bool
    ) -> None:
        self._path = path
        self._name = os.path.basename(path)
        self._account = account
        self._descriptor = descriptor
        self._directory = directory
        self._locked = locked
        self._read = os.fstat(descriptor)
        self.content = read_whole(descriptor, path)

    def replace(self, content: bytes) -> None:
        """Put `content` in its place, whole or not at all, with the same owner, group and mode.

        Raises StateNotWritten, also where the next login would find it too large; the file is then
        what it was.
        """
        if len(content) > MAX_SIZE:
            limit = f"it would be larger than {MAX_SIZE // 1024} KiB"
            raise StateNotWritten(f"{readable(self._path)} cannot be rewritten: {limit}")
        with acting_as(self._account):
            try:
                self._write_beside(content)
                _sync_directory(self._directory)
            except OSError as error:
                reason = f"{readable(self._path)} cannot be rewritten: {error.strerror}"
                raise StateNotWritten(reason) from None

    def _write_beside(self, content: bytes) -> None:
        beside, directory = name_beside(self._path), self._directory
        descriptor = self._make(beside)
        try:
            with suppress(PermissionError):  # a group that is not the user's; it may do nothing
                os.fchown(descriptor, -1, self._read.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(self._read.st_mode))
            _write(descriptor, content)
            self._check_unchanged()  # the last thing, as near to the rename as it can be
            os.rename(beside, self._name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside, dir_fd=directory)
            raise
        finally:
            os.close(descriptor)

    def _make(self, beside: str) -> int:
        deadline = monotonic() + LOCK_SECONDS
        while True:
            try:
                return os.open(beside, NEW, 0o600, dir_fd=self._directory)
            except FileExistsError:
                if self._locked and _age(beside, self._directory) > STALE_SECONDS:
                    os.unlink(beside, dir_fd=self._directory)
                elif monotonic() > deadline:
                    raise
                sleep(PAUSE_SECONDS)

    def _check_unchanged(self) -> None:
        current = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        for name in ("st_dev", "st_ino", "st_size", "st_mtime_ns"):
            if getattr(current, name) != getattr(self._read, name):
                raise StateNotWritten(f"{readable(self._path)} was changed by another login")


@contextmanager
def locked(path: str, account: "Account") -> "Iterator[LockedFile]":
    """Open the file and hold its lock.

    Raises NoRecord, FileUnsafe, and StateNotWritten where others hold the lock for too long.
    """
    deadline = monotonic() + LOCK_SECONDS
    while True:
        with ExitStack() as opened:
            with acting_as(account):
                descriptor = _open_to_lock(path, account)
                opened.callback(os.close, descriptor)  # and with it goes the lock
                directory = _open_directory(path)
                opened.callback(os.close, directory)
            held = _lock(descriptor, path, deadline)
            if _is_still_there(descriptor, path, directory, account):
                yield LockedFile(path, account, descriptor, directory, locked=held)
                return


def _lock(descriptor: int, path: str, deadline: float) -> bool:
    """Wait for the lock; tell whether there are locks at all."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if monotonic() > deadline:
                raise StateNotWritten(f"{readable(path)} is locked by another process") from None
            sleep(PAUSE_SECONDS)
        except OSError as error:
            if error.errno in NO_LOCKS:  # the file beside is guard enough
                return False
            raise StateNotWritten(f"{readable(path)}: no lock: {error.strerror}") from None


def _open_directory(path: str) -> int:
    try:
        return os.open(os.path.dirname(path), DIRECTORY)
    except OSError as error:
        raise StateNotWritten(f"{readable(path)}: {error.strerror}") from None


def _is_still_there(descriptor: int, path: str, directory: int, account: "Account") -> bool:
    """Tell whether `path` still leads to what was opened: the one before may have replaced it."""
    with acting_as(account):
        try:
            current = os.stat(os.path.basename(path), dir_fd=directory, follow_symlinks=False)
            return os.path.samestat(os.fstat(descriptor), current)
        except FileNotFoundError:
            raise NoRecord(f"{readable(path)}: no such file") from None
        except OSError as error:
            raise StateNotWritten(f"{readable(path)}: {error.strerror}") from None


def _open_to_lock(path: str, account: "Account") -> int:
    """Open for writing too, which NFS wants of whoever locks (flock(2), "NFS details")."""
    try:
        return _open(path, account, os.O_RDWR)
    except FileUnsafe:  # mode 0400, or worse
        return _open(path, account)


def _open(path: str, account: "Account", access: int = os.O_RDONLY) -> int:
    descriptor = open_safely(path, account, access)
    try:
        _check_private(path, os.fstat(descriptor), account)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_private(path: str, status: os.stat_result, account: "Account") -> None:
    if status.st_mode & FORBIDDEN or status.st_uid != account.uid:
        found = f"mode {stat.S_IMODE(status.st_mode):04o} and owner uid {status.st_uid}"
        meant = f"at most mode 0600, owned by {account.name}"
        raise FileUnsafe(readable(path), found, meant)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
    os.fsync(descriptor)


def _age(name: str, directory: int) -> float:
    """Return seconds; a file of the future is as old: the clock was ahead when a crash left it."""
    try:
        return abs(time() - os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime)
    except FileNotFoundError:
        return 0.0


def _sync_directory(directory: int) -> None:
    """See to it that the new file is the one after a power cut, too: a used code stays used."""
    with suppress(OSError):  # some cannot be read, or synced; the rename itself was whole
        again = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fsync(again)
        finally:
            os.close(again)
