"""`trex enroll --from`: many users, a line for each, of whom none stops the others."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from trex.cli.delegate import hint_for
from trex.cli.errors import PROBLEM, CommandError
from trex.cli.location import HINT, ROOT, find_location
from trex.cli.setup.keysource import keys_given, keys_there
from trex.cli.setup.plan import carry_out, make_plan
from trex.cli.setup.proof import make_message, new_challenge
from trex.cli.setup.questions import confirm
from trex.cli.setup.roster import names_skipped, read_roster
from trex.cli.terminal import answer, folded, say
from trex.errors import FileUnsafe, TrexError, UserUnknown, one_line
from trex.system.privilege import find_account, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trex.cli.location import Location
    from trex.cli.setup.enrolment import EnrollOptions
    from trex.cli.setup.keysource import FoundKeys
    from trex.cli.setup.plan import Plan
    from trex.cli.setup.roster import Entry

UNCHANGED, FAILED = "unchanged", "failed"
DONE = {"enrol": "enrolled", "change": "changed", "renew": "renewed", UNCHANGED: UNCHANGED}
ONE_BY_ONE = ("user", "file", "locate", "wanted", "from_keyring", "piped", "prove")
TRUST = {"trust": True, "notrust": False}


@dataclass(frozen=True)
class Found:
    """A user of the roster: what enrolling them is going to change, or why it cannot be."""

    name: str
    plan: Plan | None
    error: Exception | None = None

    @property
    def kind(self) -> str:
        """What is to be done: a key of DONE, or FAILED."""
        if self.plan is None:
            return FAILED
        if self.plan.changes_nothing:
            return UNCHANGED
        if self.plan.before is None:
            return "enrol"
        return "renew" if self.plan.is_current and not self.plan.dropped() else "change"


def enroll_many(path: str, options: EnrollOptions) -> int:
    """Enrol whom `path` names, as the other options say; return the exit status.

    Raises CommandError, before anything is changed, where it says so of no single user.
    """
    given = [name for name in ONE_BY_ONE if getattr(options, name)]
    if given:
        raise click.UsageError("--from says who and with which key: no option for one user with it")
    if os.geteuid() != 0:
        raise CommandError("only root can enrol others", "sudo trex enroll --from ...")
    _check_central(_locate(ROOT.name, options))
    entries = read_roster(path)
    for name in names_skipped(path):
        say(f"trex: warning: {one_line(name)}: left out, expected NAME.asc")
    planned = _planned(entries, options)
    if options.dry_run:
        return _told(planned, "nothing was changed; to do: ")
    if not options.yes:
        known = list(planned)
        _told(known, "to do: ")
        if any(found.kind not in (UNCHANGED, FAILED) for found in known):
            confirm("Are these the right fingerprints, and shall this be done?")
        planned = iter(known)
    return _told(map(_done, planned), "")


def _check_central(location: Location) -> None:
    """Say once what is wrong for all users. Raises CommandError."""
    directory = os.path.dirname(location.record)
    if location.options.run_as and not os.path.isdir(directory):
        raise CommandError(f"{readable(directory)}: no such directory", HINT)


def _planned(entries: list[Entry], options: EnrollOptions) -> Iterator[Found]:
    """Plan one user after the other. Of two keys for one account nobody can say which is right."""
    accounts: dict[str, list[Entry]] = {}
    for entry in entries:
        accounts.setdefault(_account(entry), []).append(entry)
    for entry in entries:
        name = _account(entry)
        try:
            if len(accounts[name]) > 1:
                places = " and ".join(one_line(other.place) for other in accounts[name])
                raise CommandError(f"{places} are for {name}: which one?", "leave one of them")
            yield Found(name, _plan(entry, options))
        except (TrexError, click.UsageError) as error:
            yield Found(name, None, error)


def _account(entry: Entry) -> str:
    """Return the name that the account database has: some of them ignore case."""
    try:
        return find_account(entry.user).name
    except UserUnknown:
        return entry.user


def _locate(user: str, options: EnrollOptions) -> Location:
    return find_location(
        user, central=options.central, auth_file=options.auth_file,
        gnupg_home=options.gnupg_home, run_as=options.run_as,
    )  # fmt: skip


def _plan(entry: Entry, options: EnrollOptions) -> Plan:
    location = _locate(entry.user, options)

    def find() -> FoundKeys:
        if entry.path:
            return keys_given(location, entry.key(), entry.place)
        return keys_there(location)

    return make_plan(location, _of_row(entry, options), find)


def _of_row(entry: Entry, options: EnrollOptions) -> EnrollOptions:
    """Return the options for one user, whose row of a table goes before the command's."""
    given = entry.settings
    if given.get("trust", "trust") not in TRUST:
        raise CommandError(f"expected trust or notrust, found {one_line(given['trust'])}")
    return replace(
        options, wanted=entry.fingerprints, yes=True,
        file=entry.path or None, from_keyring=not entry.path,
        trust=TRUST[given["trust"]] if "trust" in given else options.trust,
        sign_as=given.get("sign_as", options.sign_as), page=given.get("page", options.page),
    )  # fmt: skip


def _done(found: Found) -> Found:
    """Carry a plan out."""
    if found.plan is None or found.plan.changes_nothing:
        return found
    location, options = found.plan.location, found.plan.options

    def test(content: bytes) -> None:
        if not options.no_proof:
            make_message(location, content, new_challenge(location, content))

    try:
        carry_out(found.plan, test)
    except TrexError as error:
        return Found(found.name, None, error)
    return found


def _told(users: Iterable[Found], prefix: str) -> int:
    """Print a line for each user as they come, and a last one with the counts."""
    words = {kind: kind for kind in DONE} if prefix else DONE
    counts: Counter[str] = Counter()
    owners: dict[str, list[str]] = {}
    for found in users:
        for key in found.plan.chosen if found.plan else []:
            owners.setdefault(key.fingerprint, []).append(found.name)
        word = words.get(found.kind, FAILED)
        counts[word] += 1
        answer(f"{word:<9}  {one_line(found.name):<12}  {_described(found)}")
    for fingerprint, names in owners.items():
        if len(names) > 1:
            say(f"trex: warning: {fingerprint} answers for {', '.join(map(one_line, names))}")
    order = [*words.values(), FAILED]
    told = ", ".join(f"{counts[word]} {word}" for word in order)
    answer(folded(f"{counts.total()} users: {prefix}{told}"))
    return PROBLEM if counts[FAILED] else 0


def _described(found: Found) -> str:
    if found.plan is None:
        hint = _hint(found.error)
        return one_line(str(found.error)) + (f"\n{'':11}hint: {one_line(hint)}" if hint else "")
    dropped = found.plan.dropped()
    instead = [f"in place of {', '.join(dropped)}"] if dropped else []
    return f"\n{'':11}".join([", ".join(key.fingerprint for key in found.plan.chosen), *instead])


def _hint(error: Exception | None) -> str:
    match error:
        case CommandError():
            return error.hint
        case FileUnsafe():
            return hint_for(error)
    return ""
