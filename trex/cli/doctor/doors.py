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


def is_enough(rule: Rule) -> bool:
    """Return whether this rule's success ends the stack and its refusal does not count.

    Then the next of Trex's lines is another way in, as with `sufficient`.
    """
    success = rule.actions.get("success", "")
    refusal = rule.actions.get("auth_err", rule.actions.get("default", ""))
    return (success == "done" or success.isdecimal()) and refusal == "ignore"


def is_one_of_two(rules: list[Rule]) -> bool:
    """Return whether these are two lines of Trex's of which either lets a user in."""
    if len(rules) != 2 or not is_enough(rules[0]):  # noqa: PLR2004 (as the name says)
        return False
    last = rules[1].actions
    return last.get("auth_err", last.get("default", "")) in ("bad", "die")
