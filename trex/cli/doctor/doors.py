"""The two modules through which a PAM line asks Trex, and what such a line tells Trex."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule, Stack

PAM_PYTHON, NATIVE = "pam_python.so", "pam_trex.so"
ENTRY = "pam_trex.py"


class Asked(NamedTuple):
    """The door, PAM_PYTHON or NATIVE, and the arguments of Trex's own."""

    door: str
    arguments: list[str]


def asked_by(rule: Rule) -> Asked | None:
    """Return how a rule asks Trex; None for every other module."""
    if rule.name == NATIVE:
        return Asked(NATIVE, rule.arguments)
    if rule.name == PAM_PYTHON and os.path.basename("".join(rule.arguments[:1])) == ENTRY:
        return Asked(PAM_PYTHON, rule.arguments[1:])
    return None


def trex_rules(stack: Stack) -> list[Rule]:
    """Return the rules that ask Trex."""
    return [rule for rule in stack.rules if asked_by(rule)]
