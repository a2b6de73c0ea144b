"""What a stack makes of its modules' results: libpam's `_pam_dispatch_aux`, played through."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.doctor.stack import Rule

MAX_PLAYED = 10  # modules whose results are varied: 1024 runs
# What these always answer; pam_rootok's yes is for root, who needs no way in.
FIXED = {"pam_permit.so": "success", "pam_deny.so": "auth_err", "pam_rootok.so": "auth_err"}


def lets_in(rules: list[Rule], results: list[str]) -> bool:
    """Tell whether the stack succeeds if its modules answer with `results`, one for each rule."""
    return _play(rules, results)[0]


def is_asked(rules: list[Rule], results: list[str], rule: Rule) -> bool:
    """Tell whether it comes to `rule` at all if the modules answer with `results`."""
    return any(rules[index] is rule for index in _play(rules, results)[1])


def _play(rules: list[Rule], results: list[str]) -> tuple[bool, list[int]]:
    """Return whether the stack succeeds, and which of its rules were asked."""
    asked = []
    positive: bool | None = None
    entered: dict[int, bool | None] = {}  # what it was where a substack began
    index = 0
    while index < len(rules):
        rule, result = rules[index], results[index]
        action = rule.actions.get(result, rule.actions.get("default", "bad"))
        index += 1
        if not rule.actions:  # a substack's own line
            entered[rule.level + 1] = positive
            continue
        asked.append(index - 1)
        before = positive
        if action == "reset":
            positive = entered.get(rule.level)
        elif action in ("ok", "done"):
            if positive is not False and result != "ignore":
                positive = result == "success"
        elif action in ("bad", "die"):
            positive = False
        elif action.isdecimal():
            index = _jump(rules, index, rule.level, int(action))
            positive = False if index < 0 else positive
            index = len(rules) if index < 0 else index
        decided = action == "done" and before is not False and positive is not None
        if action == "die" or decided:
            index = _leave(rules, index, rule.level)
    return bool(positive), asked


def played(rules: list[Rule], trex: dict[int, str]) -> Iterator[list[str]]:
    """Yield results for all modules: given ones for those in `trex`, both ways for the others."""
    free = [i for i, rule in enumerate(rules) if i not in trex and rule.name not in FIXED]
    for choice in product(("success", "auth_err"), repeat=min(len(free), MAX_PLAYED)):
        varied = dict(zip(free, choice, strict=False))
        yield [
            trex.get(i) or varied.get(i) or FIXED.get(rule.name, "success")
            for i, rule in enumerate(rules)
        ]


def _jump(rules: list[Rule], index: int, level: int, count: int) -> int:
    """Skip `count` modules of this level; a substack is one. -1 where there are not so many."""
    while count and index < len(rules) and rules[index].level >= level:
        index += 1
        while index < len(rules) and rules[index].level > level:
            index += 1
        count -= 1
    return -1 if count else index


def _leave(rules: list[Rule], index: int, level: int) -> int:
    """Go on after the substack; on the first level there is nothing after it."""
    while index < len(rules) and rules[index].level >= level:
        index += 1
    return index if level else len(rules)
