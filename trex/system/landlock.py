"""Landlock (landlock(7)): which files a process and its children can still open, and how.

What is not named here is denied for good, even to root: opening, creating, renaming and removing
files, TCP connections and listeners (since Linux 6.7), and signals to processes outside and their
abstract sockets (6.12). What was opened before stays open.
"""

import os
import stat
from _struct import pack
from contextlib import suppress

from trex.system.prctl import SET_NO_NEW_PRIVS, call, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every machine
ASK_VERSION, PATH_BENEATH = 1, 1
# <linux/landlock.h>, LANDLOCK_ACCESS_FS_*
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
ALL = (1 << 16) - 1
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many a version knows; later ones 16, or more
TCP_SINCE, SCOPES_SINCE = 4, 6
TCP, SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals


def version() -> int:
    """Return the version that the kernel has, 0 for none."""
    return max(0, call("syscall", CREATE_RULESET, None, 0, ASK_VERSION))


def restrict(allowed: "Iterable[tuple[str, int]]") -> None:
    """Leave this process nothing but what lies at or below these paths, if the kernel can.

    A path that does not exist is left out. Raises OSError. A kernel without Landlock is the host's
    property, and `trex doctor` says so.
    """
    known = version()
    if not known:
        return
    prctl(SET_NO_NEW_PRIVS, 1)
    handled = (1 << FILE_RIGHTS.get(known, 16)) - 1
    told = pack("Q", handled)  # struct landlock_ruleset_attr, which grew
    told += pack("Q", TCP) if known >= TCP_SINCE else b""
    told += pack("Q", SCOPES) if known >= SCOPES_SINCE else b""
    ruleset = _surely(CREATE_RULESET, told, len(told), 0)
    try:
        for path, rights in allowed:
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(ruleset, path, rights & handled)
        _surely(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= OF_FILES
        told = pack("=Qi", rights, descriptor)  # struct landlock_path_beneath_attr
        _surely(ADD_RULE, ruleset, PATH_BENEATH, told, 0)
    finally:
        os.close(descriptor)


def _surely(number: int, *arguments: int | bytes) -> int:
    """Return what the call does. Raises OSError."""
    if (result := call("syscall", number, *arguments)) < 0:
        raise OSError("the kernel does not accept the rules of Landlock")
    return result
