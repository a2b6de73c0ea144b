"""Everybody in one view: the state of each account, what belongs to nobody, and the exit status."""

from __future__ import annotations

import os
import shlex
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trex.cli.accounts.enrolment import Enrolled, Orphan
from trex.cli.accounts.exemptions import Exemptions
from trex.cli.accounts.gathering import Gathered, gather
from trex.cli.accounts.people import everybody
from trex.cli.accounts.sources import central_records
from trex.cli.setup.keyfile import DEFAULT as KEY_FILES
from trex.openpgp.keylist import DAY

if TYPE_CHECKING:
    from trex.cli.accounts.people import Person
    from trex.cli.accounts.sources import Source, Sources
    from trex.cli.accounts.verdicts import Verdict

    ByKey = dict[tuple[object, ...], Gathered]  # what each source has

OK, EXPIRING, NOT_ENROLLED, EXEMPT = "ok", "expiring", "not enrolled", "exempt"
# NO_SPARE: something of this account's cannot be used, and something else still lets it in.
UNUSABLE, UNKNOWN, NO_SPARE = "unusable", "unknown", "no spare"
STATES = (UNUSABLE, UNKNOWN, NOT_ENROLLED, NO_SPARE, EXPIRING, EXEMPT, OK)  # what counts most first
# As the plugins of Nagios have them.
FINE, WARNING, CRITICAL, UNTOLD = 0, 1, 2, 3
STATUS = {
    UNUSABLE: CRITICAL, UNKNOWN: UNTOLD, NOT_ENROLLED: WARNING, NO_SPARE: WARNING,
    EXPIRING: WARNING, EXEMPT: FINE, OK: FINE,
}  # fmt: skip
SSHD = "sshd"
WORST = (CRITICAL, UNTOLD, WARNING, FINE)  # one that is certain counts more than one that is not


@dataclass
class WayIn:
    """One enrolment of an account, with the services that accept it."""

    enrolment: Enrolled
    services: list[str]
    state: str


@dataclass
class AccountLine:
    """One account. `lacking` has the services that it cannot log in through, for want of this."""

    name: str
    uid: int
    may_log_in: bool
    held: list[WayIn] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    exempt: str = ""  # why it logs in without Trex
    is_silent: bool = False  # its home does not answer
    last: Verdict | None = None

    @property
    def state(self) -> str:
        """The state that counts most."""
        states = [held.state for held in self.held]
        if self.is_silent:
            states.append(UNKNOWN)
        elif self.exempt and (self.lacking or not self.held):
            states.append(EXEMPT)
        elif self.lacking:
            states.append(NOT_ENROLLED)
        return min(states, key=STATES.index, default=UNKNOWN)


@dataclass
class Overview:
    """What `trex list` shows. `problems` are what could not be told."""

    lines: list[AccountLine] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    log: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status."""
        found = {STATUS[line.state] for line in self.lines}
        found |= {WARNING} if self.orphans else set()
        found |= {UNTOLD} if self.problems else set()
        return next(status for status in WORST if status in {*found, FINE})


def look(sources: Sources, days: int) -> Overview:
    """Return the overview; keys that end within `days` are expiring."""
    people = everybody()
    overview = Overview(problems=list(sources.problems))
    asking = [name for source in sources.places for name in source.services]
    overview.services = list(dict.fromkeys(asking))
    is_central = any(source.options.run_as for source in sources.places)
    if not asking and not is_central and (count := central_records()):
        told = "1 account has" if count == 1 else f"{count} accounts have"
        overview.notes.append(
            f"no service asks Trex yet, so these are the records in homes. {told} a record of "
            "root's: trex list --central"
        )
    found = {source.key: gather(source, people) for source in sources.places}
    for one in found.values():
        overview.problems += one.problems
        overview.orphans += one.orphans
    overview.orphans += [*_unnamed(sources, found), *_key_files(sources, found)]
    overview.orphans = list(dict.fromkeys(overview.orphans))
    exempt = Exemptions(by_sshd=any(one.name == SSHD for one in sources.doors))
    soon = time.time() + days * DAY
    for name, person in sorted(people.items()):
        line = _line(name, person, sources, found, soon)
        if line.held or line.is_silent or person.may_log_in:
            line.exempt = exempt.why(person.account)
            overview.lines.append(line)
    overview.problems += exempt.problems
    return overview


def _line(
    name: str,
    person: Person,
    sources: Sources,
    found: ByKey,
    soon: float,
) -> AccountLine:
    line = AccountLine(name, person.account.uid, person.may_log_in)
    for source in sources.places:
        one = found[source.key]
        line.is_silent = line.is_silent or (name in one.silent)
        if enrolment := one.enrolments.get(name):
            state = _state(enrolment, soon)
            if state == UNUSABLE and _is_replaced(name, source, sources, found):
                state = NO_SPARE
            line.held.append(WayIn(enrolment, source.services, state))
    if person.may_log_in:
        line.lacking = [
            service.name
            for service in sources.doors
            if not all(_is_known(name, group, found) for group in service.groups)
        ]
    return line


def _is_known(name: str, group: list[Source], found: ByKey) -> bool:
    return any(name in found[source.key].enrolments for source in group)


def _is_replaced(name: str, source: Source, sources: Sources, found: ByKey) -> bool:
    """Return whether something else lets a user in, wherever this source is asked."""
    groups = [group for one in sources.services for group in one.groups if source in group]
    held = [[found[other.key].enrolments.get(name) for other in group] for group in groups]
    return bool(held) and all(any(one and not one.fault for one in others) for others in held)


def _state(enrolment: Enrolled, soon: float) -> str:
    if enrolment.is_untold:
        return UNKNOWN
    if enrolment.fault:
        return UNUSABLE
    if any(key.fault for key in enrolment.keys):  # left out, as the record says
        return NO_SPARE
    return EXPIRING if enrolment.until <= soon else OK


def _unnamed(sources: Sources, found: ByKey) -> list[Orphan]:
    """Return the keys in shared keyrings that no record of any source with this keyring names."""
    by_home: dict[str, list[Gathered]] = {}
    for source in sources.places:
        if source.method == "openpgp" and source.options.run_as:
            by_home.setdefault(source.options.gnupg_home, []).append(found[source.key])
    orphans = []
    for sharing in by_home.values():
        if any(one.problems for one in sharing):
            continue
        common = set.intersection(*(set(one.unnamed) for one in sharing))
        orphans += [sharing[0].unnamed[key] for key in sorted(common)]
    return orphans


def _key_files(sources: Sources, found: ByKey) -> list[Orphan]:
    """Return the files in root's directory of keys that no record names."""
    are_central = any(one.method == "openpgp" and one.options.run_as for one in sources.places)
    if not are_central or any(one.problems for one in found.values()):
        return []
    directory, suffix = os.path.dirname(KEY_FILES), os.path.splitext(KEY_FILES)[1]
    named = set().union(*(one.files for one in found.values()))
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    paths = [f"{directory}/{name}" for name in names if name.endswith(suffix) and name[0] != "."]
    return [
        Orphan(
            "key file", path, os.path.basename(path).removesuffix(suffix),
            fix=f"rm {shlex.quote(path)}",
        )
        for path in paths
        if path not in named
    ]  # fmt: skip
