"""The overview for people, in 80 columns, and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trex.cli.accounts.overview import EXEMPT, NOT_ENROLLED, STATES, UNKNOWN
from trex.cli.accounts.verdicts import written
from trex.cli.terminal import command_lines, folded
from trex.errors import ACCEPTED, CUT, cut, one_line
from trex.openpgp.keylist import NEVER, day
from trex.openpgp.record import is_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.cli.accounts.enrolment import Enrolled, Orphan
    from trex.cli.accounts.overview import AccountLine, Overview, WayIn
    from trex.cli.accounts.verdicts import Verdict

HEAD = ("USER", "STATE", "METHOD", "UNTIL", "LAST", "KEY")
WIDEST_NAME = 13  # so that a line has 79 columns
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")  # by exit status
KEY_ID = 16  # the last digits of a fingerprint
INDENT = "    "


def table(overview: Overview, *, long: bool) -> Iterator[str]:
    """Yield the lines: a summary, one for each account, and below that whatever is not in order.

    With `long` also each record's file, and each key's whole fingerprint and owner.
    """
    yield _summary(overview)
    width = max([len(HEAD[0]), *(len(_name(line)) for line in overview.lines)])
    if overview.lines:
        yield _row(HEAD, width)
    for line in overview.lines:
        yield from _account(line, width, long=long)
    if overview.orphans:
        yield "Orphaned:"
    for orphan in overview.orphans:
        yield folded(_orphan(orphan), INDENT)
        yield command_lines(one_line(orphan.fix), f"{INDENT}  to remove it: ")
    for problem in overview.problems:
        yield folded(f"Not told: {one_line(problem)}")
    for note in overview.notes:
        yield folded(f"Note: {note}")


def _account(line: AccountLine, width: int, *, long: bool) -> Iterator[str]:
    name, last = _name(line), _last(line.last)
    if line.state in (NOT_ENROLLED, EXEMPT, UNKNOWN) or not line.held:
        yield _row((name, line.state, "", "", last, ""), width)
    for held in line.held:
        yield _row((name, held.state, *_columns(held.enrolment, last)), width)
        yield from (folded(text, INDENT) for text in _below(held, long=long))
    yield from (folded(text, INDENT) for text in _reasons(line))


def _columns(enrolment: Enrolled, last: str) -> tuple[str, str, str, str]:
    until = day(enrolment.until) if enrolment.until else ""
    keys = [key.fingerprint for key in enrolment.keys]
    shown = keys[0][-KEY_ID:] if keys and not is_file(keys[0]) else ""
    if len(keys) > 1:
        shown = f"{len(keys)} keys" if enrolment.needed == 1 else f"2 of {len(keys)} keys"
    return enrolment.method, until, last, shown


def _below(held: WayIn, *, long: bool) -> Iterator[str]:
    enrolment = held.enrolment
    if long:
        services = f", for {', '.join(held.services)}" if held.services else ""
        yield one_line(f"{enrolment.place}{services}")
        for key in enrolment.keys:
            until = f"until {day(key.until)}" if key.until else "not usable"
            yield one_line(f"{key.fingerprint} {until}")
            yield one_line(f"  {key.owner}")
    faults = [key.fault for key in enrolment.keys if key.fault]
    if enrolment.fault and enrolment.fault not in faults:
        yield one_line(enrolment.fault)
    yield from map(one_line, faults)


def _reasons(line: AccountLine) -> Iterator[str]:
    if line.is_silent:
        yield "the home's file system does not answer"
    if line.exempt:
        yield one_line(f"exempt: {line.exempt}")
    elif line.lacking and (line.held or len(line.lacking) > 1):
        yield one_line(f"not enrolled for {', '.join(line.lacking)}")
    if line.last and line.last.verdict != ACCEPTED.text:
        where = f"{line.last.service}, {written(line.last.time)}"
        yield one_line(f"last verdict: {line.last.verdict}, {where}")


def _orphan(orphan: Orphan) -> str:
    if orphan.kind == "key":
        where = f"{orphan.name} in {orphan.place}, {orphan.owner}"
        return one_line(f"key {where}: no record names it")
    if orphan.kind == "key file":
        return one_line(f"key file {orphan.place}: no record names it")
    return one_line(f"{orphan.kind} {orphan.place}: there is no account {orphan.name}")


def _summary(overview: Overview) -> str:
    """Return the line that a monitor shows."""
    counts = [(sum(line.state == state for line in overview.lines), state) for state in STATES]
    told = [f"{count} {state}" for count, state in counts if count]
    if overview.orphans:
        told.append(f"{len(overview.orphans)} orphaned")
    if overview.problems:
        told.append(f"{len(overview.problems)} not told")
    number = len(overview.lines)
    accounts = "1 account" if number == 1 else f"{number} accounts"
    return f"{WORDS[overview.status]}: {', '.join([accounts, *told])}"


def _row(cells: tuple[str, ...], width: int) -> str:
    name, state, method, until, last, key = cells
    text = f"{name:<{width}}  {state:<12}  {method:<8}  {until:<10}  {last:<10}  {key}"
    return text.rstrip()


def _name(line: AccountLine) -> str:
    return cut(one_line(line.name), WIDEST_NAME - len(CUT))


def _last(last: Verdict | None) -> str:
    return written(last.time)[:10] if last else ""


def as_data(overview: Overview) -> dict[str, Any]:
    """Return everything as JSON data."""
    return {
        "status": overview.status,
        "services": overview.services,
        "log": overview.log,
        "accounts": list(map(_told, overview.lines)),
        "orphans": [vars(orphan) for orphan in overview.orphans],
        "problems": overview.problems,
        "notes": overview.notes,
    }


def _told(line: AccountLine) -> dict[str, Any]:
    return {
        "user": line.name,
        "uid": line.uid,
        "state": line.state,
        "may_log_in": line.may_log_in,
        "not_enrolled_for": line.lacking,
        "exempt": line.exempt,
        "enrolments": list(map(_told_enrolment, line.held)),
        "last": {**vars(line.last), "time": written(line.last.time)} if line.last else None,
    }


def _told_enrolment(held: WayIn) -> dict[str, Any]:
    enrolment = held.enrolment
    keys = [{**vars(key), "until": _moment(key.until)} for key in enrolment.keys]
    return {
        "method": enrolment.method,
        "place": enrolment.place,
        "services": held.services,
        "state": held.state,
        "until": _moment(enrolment.until),
        "fault": enrolment.fault,
        "inherited": enrolment.inherited,
        "keys": keys,
    }


def _moment(until: float) -> str | None:
    """Return when something ends, `never`, or None for what cannot be used."""
    if not until:
        return None
    return "never" if until == NEVER else written(until)
