"""Reading and replacing a file that only its owner may read, with that owner's rights.

It is replaced by `trex.system.rewriting`: logins take turns where they can, at most one of those
that have read the same content replaces it, and a login that is stopped midway delays no other for
longer than a second at a time.
"""

import os
import stat
from contextlib import ExitStack, contextmanager
from time import monotonic

from trex.errors import OWNER, READABLE, FileUnsafe, NoRecord, TrexError
from trex.system.privilege import acting_as, readable
from trex.system.rewriting import (
    DIRECTORY,
    TURN_SECONDS,
    Overtaken,
    remove_in,
    replace_in,
    take_turn,
)
from trex.system.safefile import (
    MAX_SIZE,
    check_directories,
    file_status,
    open_safely,
    read_whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.system.privilege import Account

FORBIDDEN = 0o3177  # all but reading and writing by the owner, as in google-authenticator


class StateNotWritten(TrexError):
    """What an answer changes cannot be written, such as a code's use: so it cannot be accepted."""


class ChangedMeanwhile(StateNotWritten):
    """Another program has replaced the file since it was read."""


def read_secret(path: str, account: "Account") -> bytes:
    """Return the file's content, if only `account` may read and write it.

    Raises NoRecord, FileUnsafe.
    """
    with acting_as(account):
        descriptor = _open(path, account)
        try:
            return read_whole(descriptor, path)
        finally:
            os.close(descriptor)


def create_secret(path: str, account: "Account", content: bytes) -> None:
    """Create the file, mode 0600, if there is none.

    Raises StateNotWritten, and FileUnsafe if others could replace the file in its directory.
    """
    with acting_as(account), ExitStack() as opened:
        try:
            directory = os.open(os.path.dirname(path), DIRECTORY)
            opened.callback(os.close, directory)
            check_directories(f"/proc/self/fd/{directory}", account)
            replace_in(directory, os.path.basename(path), None, content)
        except (OSError, Overtaken) as error:
            reason = error.strerror if isinstance(error, OSError) else "another login creates it"
            if os.path.lexists(path):
                reason = "it already exists"
            raise StateNotWritten(f"{readable(path)} cannot be created: {reason}") from None


def remove_secret(path: str, account: "Account") -> None:
    """Remove the file for good: no login that has read it brings it back.

    Raises StateNotWritten.
    """
    with acting_as(account):
        directory = _open_directory(path)
        try:
            remove_in(directory, os.path.basename(path))
        except (OSError, Overtaken) as error:
            reason = error.strerror if isinstance(error, OSError) else "other logins write it"
            raise StateNotWritten(f"{readable(path)} cannot be removed: {reason}") from None
        finally:
            os.close(directory)


class LockedFile:
    """The file as it was read; this login has the turn until `with` ends."""

    def __init__(self, path: str, account: "Account", descriptor: int, directory: int) -> None:
        self._path = path
        self._account = account
        self._directory = directory
        self._read = file_status(descriptor, path)
        self.content = read_whole(descriptor, path)

    def replace(self, content: bytes) -> None:
        """Replace the file by `content`, whole or not at all, with the same owner, group and mode.

        Raises StateNotWritten, also for a file too large for the next login to read; and its
        subclass ChangedMeanwhile: then read the file again.
        """
        if len(content) > MAX_SIZE:
            limit = f"it would be larger than {MAX_SIZE // 1024} KiB"
            raise StateNotWritten(f"{readable(self._path)} cannot be rewritten: {limit}")
        with acting_as(self._account):
            try:
                replace_in(self._directory, os.path.basename(self._path), self._read, content)
            except Overtaken:
                raise ChangedMeanwhile(
                    f"{readable(self._path)} was changed by another login"
                ) from None
            except OSError as error:
                reason = f"{readable(self._path)} cannot be rewritten: {error.strerror}"
                raise StateNotWritten(reason) from None


@contextmanager
def locked(path: str, account: "Account") -> "Iterator[LockedFile]":
    """Open the file when this login has its turn, or after a second without it.

    Raises NoRecord, FileUnsafe, StateNotWritten.
    """
    deadline = monotonic() + TURN_SECONDS
    while True:
        with ExitStack() as opened:
            with acting_as(account):
                descriptor = _open_to_lock(path, account)
                opened.callback(os.close, descriptor)  # this releases the lock, too
                directory = _open_directory(path)
                opened.callback(os.close, directory)
            take_turn(descriptor, deadline)
            if _is_still_there(descriptor, path, directory, account):
                yield LockedFile(path, account, descriptor, directory)
                return


def _open_directory(path: str) -> int:
    try:
        return os.open(os.path.dirname(path), DIRECTORY)
    except OSError as error:
        raise StateNotWritten(f"{readable(path)}: {error.strerror}") from None


def _is_still_there(descriptor: int, path: str, directory: int, account: "Account") -> bool:
    """Tell whether `path` is still the open file: the login before may have replaced it."""
    with acting_as(account):
        try:
            current = os.stat(os.path.basename(path), dir_fd=directory, follow_symlinks=False)
            return os.path.samestat(os.fstat(descriptor), current)
        except FileNotFoundError:
            raise NoRecord(f"{readable(path)}: no such file") from None
        except OSError as error:
            raise StateNotWritten(f"{readable(path)}: {error.strerror}") from None


def _open_to_lock(path: str, account: "Account") -> int:
    """Open for writing too: NFS requires that for a lock (flock(2), "NFS details")."""
    try:
        return _open(path, account, os.O_RDWR)
    except FileUnsafe:  # mode 0400, or worse
        return _open(path, account)


def _open(path: str, account: "Account", access: int = os.O_RDONLY) -> int:
    descriptor = open_safely(path, account, access)
    try:
        _check_private(path, file_status(descriptor, path), account)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_private(path: str, status: os.stat_result, account: "Account") -> None:
    if status.st_mode & FORBIDDEN or status.st_uid != account.uid:
        found = f"mode {stat.S_IMODE(status.st_mode):04o} and owner uid {status.st_uid}"
        expected = f"at most mode 0600, owned by {account.name}"
        if status.st_uid != account.uid:
            raise FileUnsafe(readable(path), found, expected, OWNER, account.name)
        raise FileUnsafe(readable(path), found, expected, READABLE)
