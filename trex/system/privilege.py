"""Accounts, and becoming one of them: for a moment to read a file, or for good before an exec.

pam_python's interpreter may run with ASCII as its file system encoding (Debian 13 without a
locale), so a name that is not ASCII goes through `native` on its way to the operating system.
"""

import os
import pwd
import time

from trex.errors import NotGivenBack, PrivilegeError, UserUnknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

ATTEMPTS = 20
PAUSE_SECONDS = 0.01
MAX_UID = 0xFFFFFFFE  # uid_t has 32 bits, and (uid_t) -1 is nobody's (setresuid(2))


def native(text: str) -> str:
    """Spell UTF-8 text the way the `os` functions expect it, with surrogates where they must."""
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def readable(path: str) -> str:
    """Undo `native`: bytes that are not UTF-8 remain surrogates, which the log escapes."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


class Account:
    """One line of the account database. `name` is UTF-8 as PAM has it; `home` is for `os` calls.

    `serves` is for an account that all logins share: it does a part of their work, and nobody logs
    in as it.
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

    Some databases ignore case, or accept `name@domain`. The account gets the name that the database
    gives it, so that it has one record however the name was typed.
    Raises UserUnknown, also for a name that is unsafe in a path.
    """
    check_name(name)
    try:
        entry = pwd.getpwnam(native(name))
        proper = readable(entry.pw_name)
        groups = os.getgrouplist(proper, entry.pw_gid)  # this one encodes as UTF-8 by itself
    except (KeyError, ValueError):
        raise UserUnknown("there is no such account") from None
    check_name(proper)
    return Account(proper, entry.pw_uid, entry.pw_gid, entry.pw_dir, groups)


def check_name(name: str) -> None:
    """Refuse a name that leads elsewhere in a path, or to a file made beside another account's.

    A backup of a record ends in `~`, as with editors; a file to be renamed begins with a dot.
    """
    is_beside = name.startswith(".") or name.endswith("~")
    if not name or is_beside or "/" in name or not name.isprintable():
        raise UserUnknown("that is not a valid account name")


def is_uid(text: str) -> bool:
    """Tell whether a file's word is an account's number."""
    plain = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_UID))
    return plain and int(text) <= MAX_UID


class acting_as:  # noqa: N801 (its calls read like a function's)
    """Borrow the account's effective ids and groups; for files only, never around an exec.

    The kernel then checks permissions and quotas as for the account itself. A child that became the
    account for good would be no safer: the user's other processes could trace or stop it. They
    cannot touch this process, because its real and saved ids stay root's, which also allows to give
    the ids back. In an application with several threads glibc changes the ids of all of them:
    a risk accepted, because it lasts for a few reads, and because applications that run as root
    call PAM from one thread.
    Raises PrivilegeError if the process is neither root nor that account, and NotGivenBack.
    """

    __slots__ = ("_account", "_before")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._before: tuple[int, int, list[int]] | None = None  # None: nothing was changed

    def __enter__(self) -> "Self":
        """Take the ids, unless the process has them."""
        account = self._account
        if _must_change(account):
            self._before = os.geteuid(), os.getegid(), os.getgroups()
            try:
                os.setgroups(account.groups)
                os.setegid(account.gid)
                os.seteuid(account.uid)
            except OSError as error:
                _give_back(*self._before)
                raise PrivilegeError(f"cannot act as {account.name}: {error.strerror}") from None
        return self

    def __exit__(self, *exception: object) -> None:
        """Give them back."""
        if self._before:
            _give_back(*self._before)


def _give_back(uid: int, gid: int, groups: list[int]) -> None:
    """Restore the ids, with several attempts: the kernel may lack memory for a moment.

    Raises NotGivenBack, and neither PageUnavailable nor OSError, which a caller might ignore.
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
    """Take the account's real, effective and saved ids and its groups, irrevocably.

    For a child before exec: a program from a user's configuration must not be able to return
    (setresuid(2)). Raises OSError or PrivilegeError; the caller then must not continue.
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
    """Let an account that all logins share have more processes than the caller may.

    The kernel counts all processes of the account against the limit of the process that starts one
    more (RLIMIT_NPROC, getrlimit(2)): otherwise a user who stops enough su of their own would have
    everybody's refused. Root without CAP_SYS_RESOURCE can raise it to the hard limit.
    """
    import resource  # in a child that is about to become another program

    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    for limit in (resource.RLIM_INFINITY, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
        except (OSError, ValueError):
            continue
        return


def _must_change(account: Account) -> bool:
    """Tell whether ids must change: not if the caller runs as the user, as a screen locker does."""
    effective = os.geteuid()
    if effective == 0:
        return True
    if effective == account.uid:
        return False
    raise PrivilegeError(f"the caller, uid {effective}, is neither root nor {account.name}")
