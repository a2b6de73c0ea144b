"""Findings about sshd's settings, each once: with the Match block, its users and their origins."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from trex.cli.doctor.arrival import set_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trex.cli.doctor.effective import Effective
    from trex.cli.doctor.finding import Finding
    from trex.cli.doctor.matching import Origin

MAX_NAMED = 3  # users, or origins
WAY = "publickey,keyboard-interactive:pam"
METHODS = f"AuthenticationMethods {WAY}"
# By check: the setting that it is about, and the line that a Match block should have instead.
SETTINGS = {
    "sshd-methods": ("authenticationmethods", METHODS),
    "sshd-strangers": ("authenticationmethods", METHODS),
    "sshd-password": ("passwordauthentication", "PasswordAuthentication no"),
    "sshd-kbdinteractiveauthentication": (
        "kbdinteractiveauthentication", "KbdInteractiveAuthentication yes",
    ),
    "sshd-tries": ("maxauthtries", "MaxAuthTries 6"),
}  # fmt: skip


class OfBlock(NamedTuple):
    """A finding, the Match block whose setting it is about, and the command that changes it."""

    finding: Finding
    match: str
    fix: str


class Told:
    """Findings as they come, one user and origin after the other."""

    def __init__(self, config: str, origins: list[Origin]) -> None:
        self._config = config
        self._all = origins
        self._plain: dict[Finding, None] = {}
        self._blocks: dict[OfBlock, tuple[dict[str, None], dict[Origin, None]]] = {}

    def add(self, finding: Finding, effective: Effective, user: str, origin: Origin) -> None:
        """Add what was found with these settings."""
        name, line = SETTINGS.get(finding.check, ("", ""))
        match = effective.block(name)
        if not match:
            self._plain.setdefault(finding)
            return
        block = OfBlock(finding, match, set_at(effective, name, line, self._config))
        users, origins = self._blocks.setdefault(block, ({}, {}))
        users.setdefault(user)
        origins.setdefault(origin)

    def findings(self) -> list[Finding]:
        """Return them: what is so for everybody first."""
        found = [*self._plain]
        for block, (users, origins) in self._blocks.items():
            where = f" from {listed(map(str, origins))}" if len(origins) < len(self._all) else ""
            who = f"{listed(users)}: " if any(users) else ""
            what = f"{who}{block.finding.what}{where}, by {block.match}"
            subject = next(iter(users)) if len(users) == 1 else ""
            found.append(
                dataclasses.replace(block.finding, what=what, fix=block.fix, subject=subject)
            )
        return found


def listed(texts: Iterable[str]) -> str:
    """Return a list for people: `a, b, c and 7 more`."""
    unique = list(dict.fromkeys(texts))
    more = f" and {len(unique) - MAX_NAMED} more" if len(unique) > MAX_NAMED else ""
    return ", ".join(unique[:MAX_NAMED]) + more
