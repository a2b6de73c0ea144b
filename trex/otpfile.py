"""Reading and replacing google-authenticator's file, one login at a time, with its owner's rights.

A lock (flock(2)) on the file itself has the logins of one host take turns. Who has it writes
`<file>~`, made with O_EXCL, looks whether the file is still the one that was read, and renames:
that is what keeps writers apart where there are no locks. The lock tells a `<file>~` that a crash
has left from one that is in use.

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
from trex.safefile import MAX_SIZE, open_safely, read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.privilege import Account

FORBIDDEN = 0o3177  # all but reading and writing by the owner, as google-authenticator has it
LOCK_SECONDS = 5.0
PAUSE_SECONDS = 0.02
STALE_SECONDS = 30  # google-authenticator needs milliseconds
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
    """Make the file, mode 0600, where there is none. Raises StateNotWritten."""
    beside = f"{path}~"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with acting_as(account):
        try:
            descriptor = os.open(beside, flags, 0o600)
            try:
                _write(descriptor, content)
                os.link(beside, path)  # a rename would replace what somebody else has just made
            finally:
                os.close(descriptor)
                os.unlink(beside)
            _sync_directory(path)
        except OSError as error:
            reason = f"{readable(path)} cannot be made: {error.strerror}"
            raise StateNotWritten(reason) from None


class LockedFile:
    """The file as it was read, held against other logins until `with` ends."""

    def __init__(self, path: str, account: "Account", descriptor: int, *, locked: bool) -> None:
        self._path = path
        self._account = account
        self._descriptor = descriptor
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
                _sync_directory(self._path)
            except OSError as error:
                reason = f"{readable(self._path)} cannot be rewritten: {error.strerror}"
                raise StateNotWritten(reason) from None

    def _write_beside(self, content: bytes) -> None:
        beside = f"{self._path}~"
        descriptor = self._make(beside)
        try:
            with suppress(PermissionError):  # a group that is not the user's; it may do nothing
                os.fchown(descriptor, -1, self._read.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(self._read.st_mode))
            _write(descriptor, content)
            self._check_unchanged()  # the last thing, as near to the rename as it can be
            os.rename(beside, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise
        finally:
            os.close(descriptor)

    def _make(self, beside: str) -> int:
        deadline = monotonic() + LOCK_SECONDS
        while True:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                return os.open(beside, flags, 0o600)
            except FileExistsError:
                if self._locked and _age(beside) > STALE_SECONDS:
                    os.unlink(beside)
                elif monotonic() > deadline:
                    raise
                sleep(PAUSE_SECONDS)

    def _check_unchanged(self) -> None:
        current = os.stat(self._path, follow_symlinks=False)
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
            held = _lock(descriptor, path, deadline)
            if _is_still_there(descriptor, path, account):
                yield LockedFile(path, account, descriptor, locked=held)
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


def _is_still_there(descriptor: int, path: str, account: "Account") -> bool:
    """Tell whether `path` still leads to what was opened: the one before may have replaced it."""
    with acting_as(account):
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(path))
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


def _age(path: str) -> float:
    """Return seconds; a file of the future is as old: the clock was ahead when a crash left it."""
    try:
        return abs(time() - os.lstat(path).st_mtime)
    except FileNotFoundError:
        return 0.0


def _sync_directory(path: str) -> None:
    """See to it that the new file is the one after a power cut, too: a used code stays used."""
    with suppress(OSError):  # some cannot be read, or synced; the rename itself was whole
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
