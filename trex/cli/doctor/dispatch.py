"""The verdict of a stack on its modules' results, as libpam's `_pam_dispatch_aux` computes it."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.cli.doctor.stack import Rule

# libpam's impression and status in one. FAILS: a failure with the action `ok`.
UNDECIDED, SUCCEEDS, FAILS, BROKEN = "undecided", "succeeds", "fails", "broken"
MAX_PLAYED = 10  # modules whose results are varied: 1024 combinations
# Modules with one result; pam_rootok succeeds only for root, who needs no way in.
FIXED = {"pam_permit.so": "success", "pam_deny.so": "auth_err", "pam_rootok.so": "auth_err"}


def lets_in(rules: list[Rule], results: list[str]) -> bool:
    """Return whether the stack succeeds with these `results`, one for each rule."""
    return _play(rules, results)[0] == SUCCEEDS


def is_asked(rules: list[Rule], results: list[str], rule: Rule) -> bool:
    """Return whether `rule` is reached with these `results`."""
    return any(rules[index] is rule for index in asked_in(rules, results))


def asked_in(rules: list[Rule], results: list[str]) -> list[int]:
    """Return which of the `rules` are reached with these `results`."""
    return _play(rules, results)[1]


def _play(rules: list[Rule], results: list[str]) -> tuple[str, list[int]]:
    """Return the stack's verdict, and which of its rules were asked."""
    asked = []
    verdict = UNDECIDED
    entered: dict[int, str] = {}  # the verdict at the start of each substack
    index = 0
    while index < len(rules):
        rule, result = rules[index], results[index]
        action = rule.actions.get(result, rule.actions.get("default", "bad"))
        index += 1
        if not rule.actions:  # a substack's own line
            entered[rule.level + 1] = verdict
            continue
        asked.append(index - 1)
        if action == "reset":
            verdict = entered.get(rule.level, UNDECIDED)
        elif action in ("ok", "done") and verdict in (UNDECIDED, SUCCEEDS):
            verdict = SUCCEEDS if result == "success" else FAILS
        elif action in ("bad", "die"):
            verdict = BROKEN
        elif action.isdecimal():
            index, missing = _jump(rules, index, rule.level, int(action))
            verdict = BROKEN if missing else verdict
        if action == "die" or (action == "done" and verdict != BROKEN):
            index = _leave(rules, index, rule.level)
    return verdict, asked


def played(rules: list[Rule], trex: dict[int, str]) -> Iterator[list[str]]:
    """Yield results for all rules: as in `trex`, and all combinations for the others.

    Beyond MAX_PLAYED others, the rest always succeeds; see `is_all_played`.
    """
    free = _free(rules, trex)
    for choice in product(("success", "auth_err"), repeat=min(len(free), MAX_PLAYED)):
        varied = dict(zip(free, choice, strict=False))
        yield [
            trex.get(i) or varied.get(i) or FIXED.get(rule.name, "success")
            for i, rule in enumerate(rules)
        ]


def is_all_played(rules: list[Rule], trex: dict[int, str]) -> bool:
    """Return whether `played` yields all combinations."""
    return len(_free(rules, trex)) <= MAX_PLAYED


def _free(rules: list[Rule], trex: dict[int, str]) -> list[int]:
    return [i for i, rule in enumerate(rules) if i not in trex and rule.name not in FIXED]


def _jump(rules: list[Rule], index: int, level: int, count: int) -> tuple[int, int]:
    """Skip `count` modules of this level, a substack counting as one.

    Return the new index, and how many modules were missing. A jump too far fails the stack; after
    a substack libpam goes on.
    """
    while count and index < len(rules) and rules[index].level >= level:
        index += 1
        while index < len(rules) and rules[index].level > level:
            index += 1
        count -= 1
    return index, count


def _leave(rules: list[Rule], index: int, level: int) -> int:
    """Return the index after the substack; on the first level, the end of the stack."""
    while index < len(rules) and rules[index].level >= level:
        index += 1
    return index if level else len(rules)
