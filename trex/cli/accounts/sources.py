"""Where this host's logins look for who is enrolled: Trex's lines in its PAM services."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trex.cli.directory import names_in
from trex.cli.doctor.callers import is_called_by_users, services_here
from trex.cli.doctor.doors import is_enough, trex_rules
from trex.cli.doctor.service import options_of
from trex.cli.doctor.stack import read_stack
from trex.cli.errors import CommandError
from trex.errors import OptionError, TrexError
from trex.login.options import CENTRAL, Options, parse_options

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule

# By method: the arguments that say where its users are.
PLACES = {
    "openpgp": ("auth_file", "gnupg_home", "run_as", "gpg"),
    "totp": ("secret", "run_as"),
    "recovery": ("recovery_file", "run_as"),
    "sms": ("phones", "gecos_phone"),
}
ANY = "any"  # where no service names Trex


@dataclass
class Source:
    """One place where users are enrolled, and the services that look there."""

    options: Options
    services: list[str] = field(default_factory=list)

    @property
    def method(self) -> str:
        """The method's name, as in `method=`."""
        return self.options.method

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for lines that look in the same place."""
        return (self.method, *(getattr(self.options, name) for name in PLACES[self.method]))


@dataclass
class Service:
    """A PAM service that asks Trex: of each of its groups of sources, one has to know a user."""

    name: str
    groups: list[list[Source]]
    for_users: bool  # its program is started by users who are logged in: sudo, su


@dataclass
class Sources:
    """All of them. A line that cannot be understood is a problem."""

    places: list[Source] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, options: Options, service: str) -> Source:
        """Return the source for these options, which may be there already."""
        made = Source(options)
        source = next((one for one in self.places if one.key == made.key), None)
        if source is None:
            self.places.append(source := made)
        if service and service not in source.services:
            source.services.append(service)
        return source

    @property
    def doors(self) -> list[Service]:
        """The services that decide who is not enrolled: through which users come in, if any are."""
        return [one for one in self.services if not one.for_users] or self.services


def sources_here(names: tuple[str, ...], *, central: bool) -> Sources:
    """Return the sources of the services `names`, of all services if there are none.

    With `central` only those of central mode, or its usual one. Where no service names Trex, they
    are what a line without arguments would use.
    """
    sources = Sources()
    for name in names or services_here():
        stack = read_stack(name)
        if names:
            sources.problems += stack.problems
        if rules := trex_rules(stack):
            _add_service(sources, name, rules, central=central)
        elif names:
            sources.problems.append(f"/etc/pam.d/{name}: no auth line asks Trex")
    if not sources.places and not sources.problems:
        usual = parse_options([f"{name}={value}" for name, value in CENTRAL.items()])
        source = sources.add(usual if central else Options(), "")
        sources.services.append(Service(ANY, [[source]], for_users=False))
    return sources


def central_records() -> int:
    """Return how many accounts have a record where central mode has it."""
    options = parse_options([f"{name}={value}" for name, value in CENTRAL.items()])
    try:
        return len(names_in(options.auth_file))
    except (CommandError, OSError, TrexError):
        return 0


def _add_service(sources: Sources, name: str, rules: list[Rule], *, central: bool) -> None:
    groups: list[list[Source]] = []
    is_open = False
    for rule in rules:
        try:
            options = options_of(rule)
        except OptionError as error:
            sources.problems.append(f"{rule.where}: {error}")
            continue
        if central and not options.run_as:
            continue
        source = sources.add(options, name)
        if is_open:
            groups[-1].append(source)
        else:
            groups.append([source])
        is_open = is_enough(rule)
    if groups:
        sources.services.append(Service(name, groups, is_called_by_users(name)))
