"""Who is enrolled in one place: homes, a directory of root's, a map of telephone numbers."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from trex.cli.accounts import records, secrets
from trex.cli.accounts.enrolment import Enrolled, Orphan
from trex.cli.accounts.people import Person, known
from trex.cli.delegate import FILE_SECONDS, WORK_SECONDS, run_as
from trex.cli.directory import names_in
from trex.cli.doctor.orphans import removal
from trex.cli.doctor.remedy import without_number
from trex.cli.doctor.survey import MOST_SILENT, survey_homes
from trex.cli.errors import CommandError
from trex.cli.location import ROOT
from trex.errors import OtherAccount, TrexError
from trex.login.method import expand_path, find_servant, is_absent
from trex.login.options import expand
from trex.sms.phones import OFFICE_PHONE, accounts_in_map, is_number
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.accounts.sources import Source
    from trex.login.options import Options
    from trex.system.privilege import Account

CHUNK = 100  # homes that one process reads
HOMES_SECONDS = 600  # for all: a user can have gpg wait for its whole gpg_timeout=
CENTRAL_SECONDS = 60  # for a directory of root's, and
EACH_SECONDS = 0.05  # for each record in it: gpg needs a millisecond for a key
TEMPLATES = {"openpgp": "auth_file", **secrets.TEMPLATES}  # the argument with the file's path
KINDS = {"openpgp": "record", "totp": "secret", "recovery": "recovery codes", "sms": "number"}


@dataclass
class Gathered:
    """What one source has: `silent` are accounts whose home does not answer."""

    enrolments: dict[str, Enrolled] = field(default_factory=dict)
    orphans: list[Orphan] = field(default_factory=list)
    unnamed: dict[str, Orphan] = field(default_factory=dict)  # keys that no record here names
    files: set[str] = field(default_factory=set)  # keys that a record names by their path
    silent: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, told: dict[str, Any], options: Options) -> None:
        """Take in what a process has reported."""
        home = options.gnupg_home
        delete = f"runuser -u {options.run_as} -- gpg --homedir {shlex.quote(home)} --batch --yes"
        self.enrolments |= {n: Enrolled.unpacked(one) for n, one in told["enrolments"].items()}
        self.files.update(told["files"])
        self.unnamed |= {
            key: Orphan("key", home, key, owner, f"{delete} --delete-keys {key}")
            for key, owner in told["unnamed"]
        }


def gather(source: Source, people: dict[str, Person]) -> Gathered:
    """Return who is enrolled. Whoever the database does not list is added to `people`."""
    try:
        if source.method == "sms":
            return _numbers(source.options, people)
        if source.options.run_as:
            return _central(source.options, people)
        return _homes(source.options, people)
    except (CommandError, TrexError) as error:
        return Gathered(problems=[str(error)])


def _homes(options: Options, people: dict[str, Person]) -> Gathered:
    """Read files in the users' homes, some of which may not answer."""
    template = getattr(options, TEMPLATES[options.method])
    found = Gathered()

    def is_there(name: str) -> bool:
        account = people[name].account
        return not is_absent(expand_path(template, account), account)

    survey = survey_homes(list(people), is_there)
    found.silent = survey.silent
    if survey.left_out:
        found.problems.append(
            f"{len(survey.left_out)} accounts were not checked: too many homes do not answer"
        )
    accounts = [people[name].account for name in survey.found]
    deadline = monotonic() + HOMES_SECONDS
    for begin in range(0, len(accounts), CHUNK):
        _read_chunk(accounts[begin : begin + CHUNK], options, found, deadline)
    return found


def _read_chunk(
    accounts: list[Account], options: Options, found: Gathered, deadline: float
) -> None:
    """Read some homes in one process; where that hangs or fails, one after the other."""
    if monotonic() >= deadline:
        found.silent += [account.name for account in accounts]
        return
    seconds = WORK_SECONDS if len(accounts) > 1 else FILE_SECONDS + 2 * options.gpg_timeout
    work = partial(_examine, accounts, options, None, options.gpg_timeout)
    try:
        found.add(run_as(ROOT, work, seconds), options)
        return
    except CommandError as error:
        if len(accounts) == 1:
            found.enrolments[accounts[0].name] = _untold(accounts[0], options, error)
            return
    failed = 0
    for account in accounts:
        if failed < MOST_SILENT:
            _read_chunk([account], options, found, deadline)
            told = found.enrolments.get(account.name)
            failed += told is not None and told.is_untold
        else:
            found.silent.append(account.name)


def _untold(account: Account, options: Options, error: CommandError) -> Enrolled:
    template = getattr(options, TEMPLATES[options.method])
    enrolment = Enrolled(options.method, readable(expand_path(template, account)), is_untold=True)
    enrolment.refuse(str(error))
    return enrolment


def _central(options: Options, people: dict[str, Person]) -> Gathered:
    """Read files of one account's: in a directory of root's, as a rule."""
    servant = find_servant("run_as", options.run_as)
    template = getattr(options, TEMPLATES[options.method])
    found = Gathered()
    names = list(people)
    if is_in_one_directory(template):
        names = run_as(servant, lambda: names_in(template), FILE_SECONDS)
        gone = [name for name in names if not known(name, people)]
        kind = KINDS[options.method]
        for name in gone:
            path = expand(template, user=name, home="/")
            fix = removal(name, path, options)
            found.orphans.append(Orphan(kind, path, name, fix=fix))
        names = [name for name in names if name in people]
    accounts = [people[name].account for name in names]
    seconds = CENTRAL_SECONDS + int(EACH_SECONDS * len(accounts))
    work = partial(_examine, accounts, options, servant, seconds)
    found.add(run_as(servant, work, seconds + FILE_SECONDS), options)
    return found


def _examine(
    accounts: list[Account], options: Options, servant: Account | None, seconds: int
) -> dict[str, Any]:
    if options.method in secrets.TEMPLATES:
        return secrets.read_secrets(accounts, options, servant)
    if servant and not accounts:
        return records.keys_beside(options, servant, seconds)
    return records.read_records(accounts, options, servant, seconds)


def is_in_one_directory(template: str) -> bool:
    """Return whether all files that a template names are in one directory, which can be listed."""
    directory, name = os.path.split(template.replace("%%", ""))
    return "%h" not in directory + name and "%u" not in directory and name.count("%u") == 1


def _numbers(options: Options, people: dict[str, Person]) -> Gathered:
    if options.gecos_phone:
        held = [name for name, person in people.items() if _has_office_phone(person)]
        return Gathered({name: Enrolled("sms", "/etc/passwd") for name in held})
    found = Gathered()
    for number, name, made_for in accounts_in_map(options.phones):
        place = f"{options.phones}:{number}"
        if not known(name, people):
            fix = without_number(options.phones, name)
            found.orphans.append(Orphan("number", options.phones, name, fix=fix))
        elif name in found.enrolments:
            found.enrolments[name].refuse(f"{place}: {name} is listed more than once")
        else:
            found.enrolments[name] = _number(place, people[name].account, made_for, options)
    return found


def _number(place: str, account: Account, made_for: int | None, options: Options) -> Enrolled:
    enrolment = Enrolled("sms", options.phones)
    if made_for not in (None, account.uid):
        enrolment.inherited = True
        enrolment.refuse(str(OtherAccount(place, account.name, account.uid, made_for)))
    return enrolment


def _has_office_phone(person: Person) -> bool:
    fields = person.gecos.split(",")
    return is_number("".join(fields[OFFICE_PHONE : OFFICE_PHONE + 1]).strip())
