"""Reading a file that decides who can log in: only if nobody else can have written it.

Everything here runs with the rights of the account that reads (`privilege.acting_as`), so that a
planted link leads only to what this account can reach itself.
"""

import os
import stat

from trex.errors import OWNER, WRITABLE, FileUnsafe, NoRecord
from trex.system.privilege import native, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.system.privilege import Account

MAX_SIZE = 64 * 1024
# Neither a FIFO nor a device can block open(2), and the last component must not be a link.
SAFELY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_safely(path: str, account: "Account", access: int = os.O_RDONLY) -> int:
    """Open a regular file that only `account` or root can have written; return its descriptor.

    `access` is os.O_RDONLY or os.O_RDWR: the file is neither created nor truncated.
    Raises NoRecord if there is none, and FileUnsafe for anything but a regular file, for another
    owner, and if others can write or replace it.
    """
    try:
        check_directories(os.path.dirname(path), account)
        descriptor = os.open(path, SAFELY | access)
    except FileNotFoundError:
        raise NoRecord(f"{readable(path)}: no such file") from None
    except OSError as error:
        raise FileUnsafe(readable(path), _why_not_opened(path, error), A_FILE) from None
    try:
        _check_file(path, descriptor, account)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_file(path: str, descriptor: int, account: "Account") -> None:
    status = file_status(descriptor, path)
    if not stat.S_ISREG(status.st_mode):
        raise FileUnsafe(readable(path), _kind(status.st_mode), A_FILE)
    _check_writers(path, status, account, descriptor)


def file_status(descriptor: int, path: str) -> os.stat_result:
    """Return the status of `path`, an open file. Raises FileUnsafe."""
    try:
        return os.fstat(descriptor)
    except OSError as error:
        raise FileUnsafe(readable(path), _os_message(error), A_FILE) from None


def read_safely(path: str, account: "Account", most: int = MAX_SIZE) -> bytes:
    """Return the whole of a file that `open_safely` accepts, at most `most` bytes of it."""
    descriptor = open_safely(path, account)
    try:
        return read_whole(descriptor, path, most)
    finally:
        os.close(descriptor)


def read_whole(descriptor: int, path: str, most: int = MAX_SIZE) -> bytes:
    """Return an open file's content, in as many reads as it takes.

    Raises FileUnsafe if it cannot be read, or is larger than `most` bytes.
    """
    try:
        content = os.read(descriptor, most + 1)
        while len(content) <= most and (more := os.read(descriptor, most + 1)):
            content += more
    except OSError as error:
        raise FileUnsafe(readable(path), _os_message(error), "a file that can be read") from None
    if len(content) > most:
        raise FileUnsafe(readable(path), "a larger file", f"at most {most // 1024} KiB")
    return content


def check_directories(directory: str, account: "Account") -> None:
    """Check each directory from `directory` up to the account's home, or to the root.

    This is the rule of sshd's StrictModes, except that a sticky directory of root's, such as /tmp,
    may be writable by all: nobody can replace another user's file in it.
    Raises FileUnsafe, or OSError if one cannot be examined.
    """
    home = os.path.realpath(account.home) if account.home.startswith("/") else ""
    resolved = os.path.realpath(directory)
    while True:
        status = os.stat(resolved)
        if not stat.S_ISDIR(status.st_mode):
            raise FileUnsafe(readable(resolved), _kind(status.st_mode), "a directory")
        if not (status.st_uid == 0 and status.st_mode & stat.S_ISVTX):
            _check_writers(resolved, status, account, resolved)
        if resolved in (home, "/"):
            return
        resolved = os.path.dirname(resolved)


def check_writers(path: str, account: "Account") -> None:
    """Check that nobody else can write or replace what `path` leads to.

    Raises FileUnsafe, or OSError if it cannot be examined.
    """
    resolved = os.path.realpath(path)
    check_directories(os.path.dirname(resolved), account)
    check_entry(resolved, account)


def check_entry(path: str, account: "Account") -> None:
    """Check that nobody else can write `path` itself, which is no link; see `check_writers`."""
    _check_writers(path, os.stat(path), account, path)


A_FILE = "a regular file, no link, that its user may read"


def _check_writers(path: str, status: os.stat_result, account: "Account", where: int | str) -> None:
    if status.st_uid not in (0, account.uid):
        expected = f"owned by {account.name} or root" if account.uid else "owned by root"
        found = f"owner uid {status.st_uid}"
        raise FileUnsafe(readable(path), found, expected, OWNER, account.name)
    mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
    if status.st_mode & stat.S_IWOTH:
        raise FileUnsafe(readable(path), mode, "writable by its owner only", WRITABLE)
    if status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid, account, where):
        raise FileUnsafe(
            readable(path),
            f"{mode} with group {status.st_gid}",
            "writable by its owner, or by the owner's private group without other members",
            WRITABLE,
        )


def _is_private_group(gid: int, account: "Account", where: int | str) -> bool:
    """Tell whether `gid` is the account's private group (Debian's sshd: user-group-modes.patch).

    With an access control list the group bits are its mask, and the group does not tell who can
    write: then it is not.
    """
    import grp  # needed only for this rare case

    name = native(account.name)
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return (
        group.gr_name == name
        and all(member == name for member in group.gr_mem)
        and not _is_primary_for_another(gid, name)
        and not _has_access_list(where)
    )


def _has_access_list(where: int | str) -> bool:
    from errno import ENOTSUP

    try:
        return "system.posix_acl_access" in os.listxattr(where)
    except OSError as error:
        return error.errno != ENOTSUP  # a file system without support for lists has none


def _is_primary_for_another(gid: int, name: str) -> bool:
    """Tell whether it may be: also if the list of accounts is incomplete, that is without root.

    It is incomplete if there is no descriptor to open /etc/passwd (getpwent(3) reports no error).
    """
    import pwd

    entries = pwd.getpwall()
    is_whole = any(entry.pw_uid == 0 for entry in entries)
    return not is_whole or any(entry.pw_gid == gid and entry.pw_name != name for entry in entries)


def _why_not_opened(path: str, error: OSError) -> str:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return _os_message(error)
    return _os_message(error) if stat.S_ISREG(mode) else _kind(mode)


def _os_message(error: OSError) -> str:
    return f'"{error.strerror}"'


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a character device",
        stat.S_IFBLK: "a block device",
    }
    return kinds.get(stat.S_IFMT(mode), "a regular file")
