"""Who could log in through a service until now, and cannot afterwards."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from trex.cli.acknowledged import read_acknowledged
from trex.cli.activation.lines import arguments_of
from trex.cli.doctor.line import users_of
from trex.login.options import parse_options
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.activation.lines import Choice

SHELLS = "/etc/shells"
NO_LOGIN = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false")
FIRST_UID = 1000  # of people's accounts: UID_MIN of login.defs(5), unless it says otherwise
NOBODY = 65534
LOGIN_DEFS = "/etc/login.defs"


def set_up_and_not(choice: Choice) -> tuple[set[str], list[str]]:
    """Return who is set up for one of the methods, and the accounts that may log in and are not.

    Not those that /etc/trex/doctor.toml calls exempt. Raises AcknowledgementError.
    """
    able: set[str] = set()
    for method in choice.methods:
        able.update(users_of(parse_options(arguments_of(choice, method))).names)
    asked = _login_accounts(0 if choice.service != "sudo" else None)  # sudo asks root nothing
    return able, [name for name in asked if name not in able]


def _login_accounts(root: int | None) -> list[str]:
    """Return the accounts with the uid `root`, and people's, that have a shell; no exempt one."""
    shells = _shells()
    first = _first_uid()
    known = read_acknowledged()
    return [
        readable(entry.pw_name)
        for entry in pwd.getpwall()
        if (entry.pw_uid == root or first <= entry.pw_uid < NOBODY)
        and entry.pw_shell not in NO_LOGIN
        and (not shells or not entry.pw_shell or entry.pw_shell in shells)
        and not known.why_exempt(readable(entry.pw_name), entry.pw_gid)
    ]


def _shells() -> set[str]:
    return {line for line in _lines(SHELLS) if line.startswith("/")}


def _first_uid() -> int:
    for line in _lines(LOGIN_DEFS):
        words = line.split()
        if words[:1] == ["UID_MIN"] and words[1:2] and words[1].isdecimal():
            return int(words[1])
    return FIRST_UID


def _lines(path: str) -> list[str]:
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
