"""The accounts of this host, and which of them people log in with.

One look at each database: asking for one account after the other reads the whole file each time.
"""

from __future__ import annotations

import grp
import os
import pwd
import time
from dataclasses import dataclass

from trex.cli.directory import is_account_name
from trex.errors import UserUnknown
from trex.openpgp.keylist import DAY
from trex.system.privilege import Account, find_account, readable

LOGIN_DEFS, SHADOW = "/etc/login.defs", "/etc/shadow"
UID_MIN, UID_MAX = 1000, 60000  # login.defs(5), where it says nothing
NO_SHELLS = ("nologin", "false")
EXPIRES = 7  # the field in shadow(5): days since 1970


@dataclass
class Person:
    """An account. `may_log_in` says that it is one of those that people log in with."""

    account: Account
    gecos: str
    may_log_in: bool


def everybody() -> dict[str, Person]:
    """Return the accounts that the databases list, by name.

    People log in with those whose uid is in the range of /etc/login.defs, whose shell is not one
    that refuses, and which have not expired. A locked password does not matter: keys need none.
    The groups are those that the group database lists; sssd may know of more (`whole`).
    """
    groups: dict[str, list[int]] = {}
    for group in grp.getgrall():
        for member in group.gr_mem:
            groups.setdefault(member, []).append(group.gr_gid)
    first, last = uid_range()
    expired = expired_names()
    people: dict[str, Person] = {}
    for entry in pwd.getpwall():
        name = readable(entry.pw_name)
        if not is_account_name(name):
            continue
        own = [entry.pw_gid, *groups.get(entry.pw_name, [])]
        account = Account(name, entry.pw_uid, entry.pw_gid, entry.pw_dir, own)
        may = first <= entry.pw_uid <= last and name not in expired
        may = may and os.path.basename(entry.pw_shell) not in NO_SHELLS
        people.setdefault(name, Person(account, readable(entry.pw_gecos), may))
    return people


def known(name: str, people: dict[str, Person]) -> bool:
    """Return whether there is such an account, and add it where the database does not list it."""
    if name in people:
        return True
    try:
        account = find_account(name)
    except UserUnknown:
        return False
    if account.name == name:
        people[name] = Person(account, "", may_log_in=False)
    return account.name == name


def whole(account: Account) -> Account:
    """Return the account with all its groups, as a login has it. Raises UserUnknown."""
    return find_account(account.name)


def uid_range(path: str = LOGIN_DEFS) -> tuple[int, int]:
    """Return the least and the greatest uid of people's accounts (login.defs(5))."""
    found = {"UID_MIN": UID_MIN, "UID_MAX": UID_MAX}
    for line in _lines(path):
        name, *values = line.split() or [""]
        if name in found and values and values[0].isascii() and values[0].isdecimal():
            found[name] = int(values[0])
    return found["UID_MIN"], found["UID_MAX"]


def expired_names(path: str = SHADOW) -> set[str]:
    """Return the accounts that have expired (shadow(5)): pam_unix refuses them after the key."""
    today = time.time() // DAY
    found = set()
    for line in _lines(path):
        fields = line.split(":")
        day = fields[EXPIRES] if len(fields) > EXPIRES else ""
        if day.isascii() and day.isdecimal() and int(day) <= today:
            found.add(fields[0])
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().split("\n")
    except OSError:
        return []
