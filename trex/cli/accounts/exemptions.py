"""Accounts that log in without Trex by intention: by a Match block of sshd's, or by a note.

The note is an `[[exempt]]` of /etc/trex/doctor.toml (`trex.cli.acknowledged`).
"""

from __future__ import annotations

import grp
import subprocess
from typing import TYPE_CHECKING

from trex.cli.acknowledged import FILE, Acknowledged, AcknowledgementError, read_acknowledged
from trex.cli.doctor.effective import Effective, Sshd
from trex.cli.doctor.judging import ASKS_PAM
from trex.cli.doctor.matching import traits

if TYPE_CHECKING:
    from trex.system.privilege import Account

OF_USERS = ("user", "group")
METHODS = "authenticationmethods"


class Exemptions:
    """Why accounts are exempt. What cannot be found out is in `problems`."""

    def __init__(self, *, by_sshd: bool) -> None:
        self.problems: list[str] = []
        self._notes = Acknowledged()
        try:
            self._notes = read_acknowledged()
        except AcknowledgementError as error:
            self.problems.append(str(error))
        self._sshd = Sshd() if by_sshd else None
        self._group_names = {group.gr_gid: group.gr_name for group in grp.getgrall()}
        self._blocks: dict[tuple[bool, ...], str] = {}  # by what Match lines can tell a user by

    def why(self, account: Account) -> str:
        """Return why this account is exempt, "" if it is not."""
        note = self._notes.why_exempt(account.name, account.gid)
        told = [f"{note.reason} ({FILE})"] if note else []
        return "; ".join(filter(None, [self._block(account), *told]))

    def _block(self, account: Account) -> str:
        if self._sshd is None:
            return ""
        groups = [self._group_names.get(gid, "") for gid in account.groups]
        try:
            key = traits(self._sshd.matches, account.name, groups)
            if any(key) and key not in self._blocks:
                self._blocks[key] = free_by(self._sshd, account.name)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.problems.append(f"sshd -T: {error}")
            self._sshd = None
            return ""
        return self._blocks.get(key, "")


def free_by(sshd: Sshd, user: str) -> str:
    """Return the Match block by which sshd lets a user in without asking PAM, "" if none does.

    A block that is about addresses alone counts only if each address has one: from everywhere else
    its users are asked.
    """
    free = [sshd.ask(user, origin) for origin in sshd.origins]
    blocks = [one.by_match.get(METHODS) if not asks_pam(one) else None for one in free]
    of_user = [block for block in blocks if block and set(OF_USERS) & set(block.patterns)]
    if of_user or (blocks and all(blocks)):
        return str((of_user or blocks)[0])
    return ""


def asks_pam(effective: Effective) -> bool:
    """Return whether PAM is asked on each of the ways in."""
    ways = effective.get(METHODS, "any")
    return ways != "any" and all(
        any(method.startswith(ASKS_PAM) for method in way.split(",")) for way in ways.split()
    )
