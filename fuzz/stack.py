"""A PAM service's files, as `trex doctor` reads them, and its findings about who gets in."""

from __future__ import annotations

import io
import re
from itertools import product
from typing import TYPE_CHECKING
from unittest.mock import patch

from trex.cli.doctor import closing, dispatch, doors, service, stack
from trex.cli.doctor.finding import ERROR, WARNING

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule, Stack

DIRECTORY = "/etc/pam.d"
MAX_FREE = 4  # modules whose answers are played through, by either reading
PLAIN = re.compile(
    r"auth[ \t]+(required|requisite|sufficient|optional)[ \t]+([a-z_]+\.so)((?:[ \t]+[a-z_.]+)*)"
)
SUCCESS, UNDECIDED, NEGATIVE = "success", "undecided", "negative"


def check(data: bytes) -> None:
    """Rules and problems, each with file and line; and no wrong finding about who gets in.

    `data` is the file `x`, then `common` and `sub`, NUL between them.
    """
    files = dict(
        zip(("x", "common", "sub"), data.decode("utf-8", "replace").split("\0"), strict=False)
    )
    with (
        patch.object(stack, "_find", lambda name: f"{DIRECTORY}/{name}" if name in files else None),
        patch.object(stack, "open", lambda path, **_: opened(path, files), create=True),
        patch.object(dispatch, "MAX_PLAYED", MAX_FREE),
        patch.multiple(stack, MAX_FILES=8, MAX_RULES=24),  # the same, sooner
    ):
        read = stack.read_stack("x")
        findings = service.check_pam_service("x", read)
    for problem in read.problems:
        check_place(problem, files)
    for rule in read.rules:
        if rule.actions:
            check_actions(rule)
    for finding in findings:
        assert finding.severity in (ERROR, WARNING)
        assert finding.what
        assert finding.fix
        assert DIRECTORY in finding.what
    check_plain_lines(files["x"], read)
    found = {finding.check for finding in findings}
    rules = doors.trex_rules(read)
    assert ("pam-absent" in found) == (not rules)
    assert ("pam-syntax" in found) == bool(read.problems)
    if rules and not found & {"pam-syntax", "pam-optional"}:
        check_ways(read.rules, rules, found)


def opened(path: str, files: dict[str, str]) -> io.StringIO:
    """Stand in for the file system."""
    name = path.removeprefix(f"{DIRECTORY}/")
    if name not in files:
        raise FileNotFoundError(2, "No such file or directory")
    return io.StringIO(files[name])


def check_place(problem: str, files: dict[str, str]) -> None:
    """Check that a problem names a file and an existing line."""
    place = re.match(rf"{DIRECTORY}/(x|common|sub):([0-9]+): .", problem, re.DOTALL)
    missing = re.fullmatch(r"/[^\n]*: No such file or directory", problem)
    assert place or missing, problem
    if place:
        assert 1 <= int(place[2]) <= files[place[1]].count("\n") + 1


def check_actions(rule: Rule) -> None:
    """Check that each result gets the same action as in libpam's pam_misc.c."""
    actions: dict[str, str] = {}
    control = rule.control.lower()
    for pair in " ".join(f"{k}={v}" for k, v in stack.WORDS.get(control, {}).items()).split() or (
        rule.control.split()
    ):
        result, action = pair.split("=")
        assert re.fullmatch(r"ignore|bad|die|ok|done|reset|0*[1-9][0-9]{0,9}", action)
        if result == "default":
            actions = {name: actions.get(name, action) for name in stack.RESULTS}
        else:
            actions[result] = action
    for result in set(stack.RESULTS) - {"default"}:
        action = rule.actions.get(result, rule.actions.get("default", "bad"))
        assert action == actions.get(result, "bad")


def check_plain_lines(content: str, read: Stack) -> None:
    """Check that an unambiguous line is a rule."""
    lines = content.split("\n")
    for number, line in enumerate(lines, start=1):
        found = PLAIN.fullmatch(line)
        if found and not any("\\" in other for other in lines[: number - 1]):
            expected = (found[1], found[2], found[3].split())
            place = f"{DIRECTORY}/x:{number}"
            assert any(
                (rule.control, rule.module, rule.arguments) == expected
                for rule in read.rules
                if rule.where == place
            ) or any(problem.startswith(f"{place}: more than ") for problem in read.problems)


def check_ways(rules: list[Rule], trex: list[Rule], found: set[str]) -> None:
    """Try all results of the modules; a way in around Trex must have been found."""
    ours = [place for place, rule in enumerate(rules) if rule in trex]
    free = [place for place, rule in enumerate(rules)
            if place not in ours and rule.name not in dispatch.FIXED and rule.actions]  # fmt: skip
    if len(free) > MAX_FREE:
        return
    around, right = False, False
    for answers in product((SUCCESS, "auth_err"), repeat=len(free)):
        results = {
            place: dispatch.FIXED.get(rule.name, SUCCESS) for place, rule in enumerate(rules)
        }
        results |= dict(zip(free, answers, strict=True))
        right |= succeeds(rules, results | dict.fromkeys(ours, SUCCESS))
        around |= any(succeeds(rules, results | dict.fromkeys(ours, no)) for no in closing.REFUSALS)
    assert ("pam-closed" in found) == (not right)
    assert ("pam-around" in found) == (around and right)


def succeeds(rules: list[Rule], results: dict[int, str]) -> bool:
    """Tell libpam's verdict on these results, by its pam_dispatch.c, one substack at a time."""
    end, verdict = play(rules, results, 0, 0, UNDECIDED)
    assert end == len(rules)
    return verdict == SUCCESS


def play(
    rules: list[Rule], results: dict[int, str], place: int, level: int, verdict: str
) -> tuple[int, str]:
    """Run one level to its end; return its end, and the verdict so far."""
    at_first = verdict
    while place < len(rules) and rules[place].level >= level:
        rule = rules[place]
        if rule.level > level:
            place, verdict = play(rules, results, place, rule.level, verdict)
            continue
        place += 1
        if not rule.actions:
            continue
        result = results[place - 1]
        action = rule.actions.get(result, rule.actions.get("default", "bad"))
        if action == "reset":
            verdict = at_first
        elif action in ("ok", "done") and verdict in (UNDECIDED, SUCCESS):
            verdict = result
        elif action in ("bad", "die"):
            verdict = NEGATIVE
        if action == "die" or (action == "done" and verdict != NEGATIVE):
            return past(rules, place, level), verdict
        for _ in range(int(action) if action.isdigit() else 0):
            if place == len(rules) or rules[place].level < level:
                verdict = NEGATIVE
                break
            place = past(rules, place + 1, level + 1)
    return place, verdict


def past(rules: list[Rule], place: int, level: int) -> int:
    """Return the first index that is not of this level or a deeper one."""
    while place < len(rules) and rules[place].level >= level:
        place += 1
    return place
