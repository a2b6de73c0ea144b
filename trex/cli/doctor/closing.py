"""The change to a stack after which nobody gets in around Trex, found by playing it."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING

from trex.cli.doctor.dispatch import lets_in, played
from trex.cli.doctor.doors import asked_by
from trex.cli.doctor.remedy import by_hand, take_out, with_control
from trex.cli.doctor.stack import Rule, parse_control

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.cli.doctor.stack import Stack

REFUSALS = (
    "auth_err", "authinfo_unavail", "user_unknown", "maxtries", "conv_err", "system_err",
)  # fmt: skip


def closing(stack: Stack, first: Rule) -> str:
    """Return the command that closes the ways around Trex, the smallest change that does."""
    for command, changed in _changes(stack.rules, first.path):
        if not is_open(changed) and _is_reached(changed):
            return command
    return by_hand(f"put Trex first in {first.path}, and required")


def opening(stack: Stack, path: str) -> str:
    """Return the command after which a right response lets somebody in, and no wrong one.

    `path` is the service's own file: pam_permit.so at its end is where a jump arrives.
    """
    permit = Rule(path, 0, "required", parse_control("required"), "pam_permit.so", [], 0)
    changed = [*stack.rules, permit]
    if _is_reached(changed) and not is_open(changed):
        return f"sed -i '$a auth required pam_permit.so' {shlex.quote(path)}"
    return by_hand(f"take out of {path} what refuses everybody")


def is_open(rules: list[Rule]) -> bool:
    """Return whether somebody gets in whom each of Trex's lines refuses."""
    where = [i for i, rule in enumerate(rules) if asked_by(rule)]
    return any(
        lets_in(rules, results)
        for refusal in REFUSALS
        for results in played(rules, dict.fromkeys(where, refusal))
    )


def _is_reached(rules: list[Rule]) -> bool:
    """Return whether a right response lets somebody in."""
    right = {i: "success" for i, rule in enumerate(rules) if asked_by(rule)}
    return any(lets_in(rules, results) for results in played(rules, right))


def _changes(rules: list[Rule], own: str) -> Iterator[tuple[str, list[Rule]]]:
    """Yield each change of one line: its command, and the rules after it.

    Those in `own`, the file that has Trex's line, come first: others may have more services.
    """
    order = sorted(enumerate(rules), key=lambda one: one[1].path != own)
    for index, rule in order:
        if rule.control.lower() != "required" and rule.actions:
            required = dataclasses.replace(
                rule, control="required", actions=parse_control("required")
            )
            yield with_control(rule, "required"), _with(rules, index, [required])
    for index, rule in order:
        if not asked_by(rule) and rule.actions:
            yield take_out(rule), _with(rules, index, [])


def _with(rules: list[Rule], index: int, others: list[Rule]) -> list[Rule]:
    return [*rules[:index], *others, *rules[index + 1 :]]
