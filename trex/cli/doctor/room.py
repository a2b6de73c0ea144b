"""Whether a login can replace a user's file, which it does before it succeeds."""

from __future__ import annotations

import errno
import os

from trex.system.privilege import readable
from trex.system.rewriting import name_beside

NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)  # open(2), O_TMPFILE


def why_no_room(path: str, size: int) -> str:
    """Return why no file can be created beside `path`, "" if one can.

    An unnamed file is created (open(2), O_TMPFILE): nobody sees it, and closing it removes it.
    Where the file system has no such files, statvfs(3) is asked.
    """
    directory = os.path.dirname(path)
    try:
        beside = os.path.join(directory, name_beside(path))
        if os.path.lexists(beside) and (os.path.islink(beside) or not os.path.isdir(beside)):
            return f"{readable(beside)}: expected a directory"
        descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(size))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return _ask_numbers(directory) if error.errno in NO_TMPFILE else str(error.strerror)
    return ""


def _ask_numbers(directory: str) -> str:
    numbers = os.statvfs(directory)
    if numbers.f_flag & os.ST_RDONLY:
        return os.strerror(errno.EROFS)
    if not os.access(directory, os.W_OK | os.X_OK):
        return os.strerror(errno.EACCES)
    full = numbers.f_bavail == 0 or (numbers.f_files and numbers.f_favail == 0)
    return os.strerror(errno.ENOSPC) if full else ""
