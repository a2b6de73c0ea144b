"""The ways around Trex in a PAM stack, each named by the line that decides who takes it.

An exemption that the administrator wants is such a way, too: it stops being a finding once it is
acknowledged, for as long as its lines stay as they are.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trex.cli.doctor.closing import REFUSALS, closing
from trex.cli.doctor.combination import asks
from trex.cli.doctor.dispatch import asked_in, is_asked, lets_in, played
from trex.cli.doctor.doors import asked_by
from trex.cli.doctor.exempting import condition_of, is_exempting, lines_read_by
from trex.cli.doctor.finding import ERROR, Finding
from trex.cli.doctor.remedy import bracketed
from trex.errors import one_line

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule, Stack

    Run = list[str]  # a result for each rule

MAX_BOUND = 400  # characters; a longer text is told by its digest
FLIPPED = {"success": "auth_err", "auth_err": "success"}


def check_ways_around(service: str, stack: Stack, rules: list[Rule]) -> list[Finding]:
    """Return a finding for each line that lets somebody in whom all of Trex's `rules` refuse."""
    where = [index for index, rule in enumerate(stack.rules) if rule in rules]
    open_runs = [
        run
        for refusal in REFUSALS
        for run in played(stack.rules, dict.fromkeys(where, refusal))
        if lets_in(stack.rules, run)
    ]
    findings = []
    while open_runs:
        run = min(open_runs, key=lambda one: one.count("success"))
        index = _deciding(stack.rules, run, where)
        taken = [one for one in open_runs if index is None or one[index] == run[index]]
        bound = _bound(service, stack.rules, taken)
        findings.append(_finding(stack, rules[0], run, index, service, bound))
        open_runs = [one for one in open_runs if index is not None and one[index] != run[index]]
    return findings


def _deciding(rules: list[Rule], run: Run, where: list[int]) -> int | None:
    """Return the rule that decides whether this way is open; None if no module does.

    Best is one without whose result Trex would have decided; of several, one that exempts, else
    one that asks somebody something, else the last, which ends the stack.
    """
    others = [index for index in range(len(rules)) if index not in where]
    needed = [index for index in others if not lets_in(rules, _flipped(run, index))]
    steering = [
        index for index in needed if lets_in(rules, _with_trex(_flipped(run, index), where))
    ]
    exempting = [index for index in steering if is_exempting(rules[index])]
    succeeding = [index for index in needed if rules[index].actions and run[index] == "success"]
    asking = [index for index in succeeding if asks(rules[index])]
    return next(iter([*exempting, *asking, *reversed(succeeding), *steering]), None)


def _flipped(run: Run, index: int) -> Run:
    return [*run[:index], FLIPPED.get(run[index], run[index]), *run[index + 1 :]]


def _with_trex(run: Run, where: list[int]) -> Run:
    return ["success" if index in where else result for index, result in enumerate(run)]


def _finding(  # noqa: PLR0913, PLR0917 (a way, and where it is)
    stack: Stack, first: Rule, run: Run, index: int | None, service: str, bound: str
) -> Finding:  # fmt: skip
    rules = stack.rules
    by = "no module at all"
    why = "A user who succeeds there gets in without a right response."
    if index is not None:
        by = f"{rules[index].name} at {rules[index].where}"
        if condition := condition_of(rules[index], holds=run[index] == "success"):
            by += f": {condition}"
            why = f"These get in without a right response{_what_asks(rules, run, index)}."
        why += f" If that is intended: {_acknowledging(service)}"
    return Finding(
        "pam-around", ERROR, f"{first.where}: there is a way in around Trex: {by}", why,
        closing(stack, first), line=bound,
    )  # fmt: skip


def _what_asks(rules: list[Rule], run: Run, index: int) -> str:
    """Return which other modules ask them something."""
    names = [
        rule.name
        for other, rule in enumerate(rules)
        if other != index and run[other] == "success" and asks(rule) and not asked_by(rule)
        and is_asked(rules, run, rule)
    ]  # fmt: skip
    return f", by the answer to {' and '.join(dict.fromkeys(names))} alone" if names else ""


def _acknowledging(service: str) -> str:
    words = f" --service {service}" if service != "sshd" else ""
    return f'trex doctor{words} --ignore pam-around --reason "..."'


def _bound(service: str, rules: list[Rule], runs: list[Run]) -> str:
    """Return the text that an acknowledgement of a way is bound to; `runs` are all that take it.

    It is that of the lines from the top to the last that is reached, but not of Trex's own; and of
    what these lines read.
    """
    last = max(asked_in(rules, run)[-1] for run in runs)
    texts = [_text(rule) for rule in rules[: last + 1] if not asked_by(rule)]
    bound = one_line(f"{service}: {'; '.join(texts)}")
    if len(bound) <= MAX_BOUND:
        return bound
    return f"{bound[:MAX_BOUND]}... sha256={hashlib.sha256(bound.encode()).hexdigest()}"


def _text(rule: Rule) -> str:
    control = f"[{rule.control}]" if "=" in rule.control else rule.control
    text = " ".join([control, rule.module, *map(bracketed, rule.arguments)])
    read = "; ".join(text for _, text in lines_read_by(rule))
    return f"{text} ({read})" if read else text
