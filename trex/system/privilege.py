"""Accounts, and becoming one of them: for a moment to read a file, or for good before an exec.

pam_python's interpreter may run with ASCII as its file system encoding (Debian 13 without a
locale), so a name that is not ASCII goes through `native` on its way to the operating system.
"""

import os
import pwd
import time
from contextlib import contextmanager, suppress

from trex.errors import NotGivenBack, PrivilegeError, UserUnknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


ATTEMPTS = 20
PAUSE_SECONDS = 0.01


def native(text: str) -> str:
    """Spell UTF-8 text the way the `os` functions expect it, with surrogates where they must."""
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def readable(path: str) -> str:
    """Undo `native`: bytes that are no UTF-8 stay surrogates, which the log escapes."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


class Account:
    """One line of the account database. `name` is UTF-8 as PAM has it; `home` is for `os` calls.

    `serves` says that all logins share it: it does a part of their work, and nobody logs in as it.
    """

    __slots__ = ("gid", "groups", "home", "name", "serves", "uid")

    def __init__(self, name: str, uid: int, gid: int, home: str, groups: list[int]) -> None:
        self.serves = False
        self.name = name
        self.uid = uid
        self.gid = gid
        self.home = home
        self.groups = groups


def find_account(name: str) -> Account:
    """Look `name` up, with all its groups (as initgroups(3) would set them).

    The account has the name that the database gives it, and so one record, however it was typed:
    some databases ignore case, or take `name@domain`.
    Raises UserUnknown, also for a name that could leave its place in a path.
    """
    _check_name(name)
    try:
        entry = pwd.getpwnam(native(name))
        proper = readable(entry.pw_name)
        groups = os.getgrouplist(proper, entry.pw_gid)  # this one encodes as UTF-8 by itself
    except (KeyError, ValueError):
        raise UserUnknown("there is no such account") from None
    _check_name(proper)
    return Account(proper, entry.pw_uid, entry.pw_gid, entry.pw_dir, groups)


def _check_name(name: str) -> None:
    """Refuse what leads out of its place in a path, or to what is written beside another's file.

    A copy of a record ends in `~`, as editors have it; what is yet to be renamed begins with a dot.
    """
    is_beside = name.startswith(".") or name.endswith("~")
    if not name or is_beside or "/" in name or not name.isprintable():
        raise UserUnknown("that is no name of an account")


@contextmanager
def acting_as(account: Account) -> "Iterator[None]":
    """Borrow the account's effective ids and groups; for files only, never around an exec.

    The kernel then checks, and counts against quotas, as for the account itself. A child that had
    become the account for good could do no more, and its other processes could trace or stop that
    child; this process they cannot touch, because its real and saved ids stay root's.
    The real and saved ids stay, so that they can be given back. In a caller with several threads
    glibc changes the ids of all of them meanwhile: a risk accepted, because it lasts for a few
    reads, and because the callers of PAM that run as root ask from one thread.
    Raises PrivilegeError if the process is neither root nor that account, and NotGivenBack.
    """
    if not _must_change(account):
        yield
        return
    before = os.geteuid(), os.getegid(), os.getgroups()
    try:
        os.setgroups(account.groups)
        os.setegid(account.gid)
        os.seteuid(account.uid)
    except OSError as error:
        _give_back(*before)
        raise PrivilegeError(f"cannot act as {account.name}: {error.strerror}") from None
    try:
        yield
    finally:
        _give_back(*before)


def _give_back(uid: int, gid: int, groups: list[int]) -> None:
    """Make the ids again what they were, and insist: the kernel may lack memory for a moment.

    Raises NotGivenBack: no PageUnavailable and no OSError, which a caller might live with.
    """
    for _ in range(ATTEMPTS):
        try:
            if os.geteuid() != uid:
                os.seteuid(uid)  # first: the others need root
            if os.getegid() != gid:
                os.setegid(gid)
            if os.getgroups() != groups:
                os.setgroups(groups)
            return
        except OSError as error:
            reason = error.strerror
            time.sleep(PAUSE_SECONDS)
    raise NotGivenBack(f"cannot act as uid {uid} again: {reason}")


def become(account: Account) -> None:
    """Take the account's real, effective and saved ids and its groups, for good.

    For a child before exec: a program that a user's configuration names must find no way back
    (setresuid(2)). Raises OSError or PrivilegeError; the caller then must not go on.
    """
    if _must_change(account):
        if account.serves:
            _lift_process_limit()
        os.setgroups(account.groups)
        os.setresgid(account.gid, account.gid, account.gid)
    # From a set-user-id caller whose effective id is the account's, the real id follows here.
    os.setresuid(account.uid, account.uid, account.uid)
    if os.getresuid() != (account.uid,) * 3:
        raise PrivilegeError(f"the ids did not become those of {account.name}")


def _lift_process_limit() -> None:
    """Let an account that all logins share have more processes than the caller may have.

    The kernel holds them all against the limit of whoever starts one more (RLIMIT_NPROC,
    getrlimit(2)): who stops enough su of their own would else have everybody's refused. Root that
    lacks CAP_SYS_RESOURCE may go up to the hard limit.
    """
    import resource  # in a child that is about to become another program

    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    for limit in (resource.RLIM_INFINITY, hard):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
            return


def _must_change(account: Account) -> bool:
    """Tell whether ids must change: not for a caller, such as a screen locker, that is the user."""
    effective = os.geteuid()
    if effective == 0:
        return True
    if effective == account.uid:
        return False
    raise PrivilegeError(f"the caller, uid {effective}, is neither root nor {account.name}")
