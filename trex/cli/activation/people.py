"""Who could log in through a service until now, and cannot afterwards."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from trex.cli.accounts.people import NO_SHELLS, expired_names, uid_range
from trex.cli.acknowledged import read_acknowledged
from trex.cli.activation.lines import arguments_of
from trex.cli.doctor.line import users_of
from trex.login.options import parse_options
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.activation.lines import Choice


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
    """Return the accounts with the uid `root`, and whom `trex list` expects; no exempt one."""
    first, last = uid_range()
    expired = expired_names()
    known = read_acknowledged()
    return [
        readable(entry.pw_name)
        for entry in pwd.getpwall()
        if (entry.pw_uid == root or first <= entry.pw_uid <= last)
        and os.path.basename(entry.pw_shell) not in NO_SHELLS
        and readable(entry.pw_name) not in expired
        and not known.why_exempt(readable(entry.pw_name), entry.pw_gid)
    ]
