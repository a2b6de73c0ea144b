"""How the options of `trex enroll` change a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from trex.cli.errors import CommandError
from trex.cli.setup import recordfile
from trex.cli.setup.recordfile import Fields
from trex.cli.terminal import say
from trex.errors import FileUnsafe, one_line
from trex.openpgp.record import QR_MODES, TERMINAL_QR_MODES, TWO, WEB_QR_MODES, parse_record
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.openpgp.keylist import Key

BOTH, ALONE = "two", "one"  # how many people a login takes
REFUSE, LEAVE_OUT = "refuse", "leave-out"  # what a key of several does that cannot be used


@dataclass(frozen=True, kw_only=True)
class EnrollOptions:
    """The options of `trex enroll`; None where one is not given."""

    user: str | None
    central: bool
    auth_file: str | None
    gnupg_home: str | None
    run_as: str | None
    file: str | None
    source: str | None
    from_keyring: bool
    key_file: str | None
    locate: str | None
    wanted: tuple[str, ...]
    add: bool
    same_person: bool
    unusable: str | None
    people: str | None
    trust: bool | None
    sign_as: str | None
    page: str | None
    tls_key: str | None
    tls_certificate: str | None
    prove: bool
    no_proof: bool
    piped: bool
    yes: bool
    dry_run: bool

    @property
    def silently(self) -> bool:
        """Whether no question may be asked."""
        return self.yes or self.dry_run or self.piped

    @property
    def names_keys(self) -> bool:
        """Whether any option says which keys the record gets, or that one is added."""
        return bool(
            self.file is not None or self.locate is not None or self.from_keyring
            or self.wanted or self.add or self.key_file or self.piped
        )  # fmt: skip

    @property
    def changes_fields(self) -> bool:
        """Whether any option changes the record beside its keys."""
        fields = (
            self.trust, self.sign_as, self.page, self.tls_key, self.tls_certificate, self.unusable,
            self.people,
        )  # fmt: skip
        return self.same_person or any(field is not None for field in fields)


def kept_recipients(location: Location, before: bytes | None, options: EnrollOptions) -> list[str]:
    """Return the record's keys if only its other fields change, [] if keys are to be found.

    A record of another account's is no record of this user. Raises RecordError for one that the
    module would refuse.
    """
    if options.names_keys or not options.changes_fields or before is None:
        return []
    try:
        record = parse_record(before, location.record, readable(location.user.home))
    except FileUnsafe:  # there is no record in it
        return []
    is_own = options.same_person or record.uid in (None, location.user.uid)
    return record.recipients if is_own else []


def compose_record(
    location: Location, before: bytes | None, chosen: list[Key], names: list[str],
    options: EnrollOptions,
) -> bytes:  # fmt: skip
    """Return the new file; `chosen` is [] where the record keeps its keys, which are `names`.

    Raises RecordError for a record that the module would refuse.
    """
    home = readable(location.user.home)
    fields = recordfile.fields_of(before or b"", location.record, home)
    if fields.uid not in (None, location.user.uid) and not options.same_person:
        _check_new_person(location, fields, options)
        before, fields = None, Fields()
    old = [*fields.notes(), fields.line()]
    new = names
    if options.add:
        new = [*fields.recipients, *(key for key in new if key not in fields.recipients)]
    if set(new) != set(fields.recipients):
        fields.recipients = new
    _apply(fields, options)
    _apply_people(location, fields, options)
    if options.unusable is not None:
        fields.leaves_out = options.unusable == LEAVE_OUT
    if location.options.run_as or fields.uid is not None:
        fields.uid = location.user.uid
    parse_record(fields.line().encode(), location.record, home)
    if before is not None and [*fields.notes(), fields.line()] == old:
        return before
    return recordfile.with_record(before, fields, owner_of(chosen), location.record)


def owner_of(chosen: list[Key]) -> str:
    """Return the user id that stands above a new record."""
    names = [name for key in chosen for name in key.user_ids or [key.fingerprint]]
    return one_line(names[0]) if names else ""


def _check_new_person(location: Location, fields: Fields, options: EnrollOptions) -> None:
    """Say that nothing is kept of a record that was made for another account of that name."""
    name, uid = location.user.name, location.user.uid
    found = f"{location.shown} was made for uid {fields.uid}, and {name} has uid {uid}"
    if options.add:
        raise CommandError(
            f"{found}: another account had that name, and --add would keep its keys",
            f"without --add nothing is kept; if {name} is the same person, --same-person",
        )
    say(f"trex: warning: {found}: nothing of it is kept.")


def _apply(fields: Fields, options: EnrollOptions) -> None:
    """Change the fields as the options say."""
    if options.trust is not None:
        fields.trust = "trust" if options.trust else "notrust"
    if options.sign_as is not None:
        fields.sign_as = options.sign_as
    tls = [path for path in (options.tls_key, options.tls_certificate) if path]
    mode = options.page
    if mode is None and tls and fields.page:
        mode = fields.page[0]
    if mode is None and tls:
        raise click.UsageError("--tls-key and --tls-certificate need --page")
    _check_page(mode, tls)
    if mode == "none":
        fields.page = []
    elif mode is not None:
        same = fields.page[:1] == [mode] or (_has_tls(mode) and _has_tls(*fields.page[:1]))
        kept = fields.page[1:] if same else []
        fields.page = [mode, *(tls or kept)]


def _check_page(mode: str | None, tls: list[str]) -> None:
    """Refuse what a record cannot say. Raises UsageError."""
    if mode not in (None, "none", *QR_MODES):
        raise click.UsageError(f"--page: expected {', '.join(QR_MODES)} or none")
    if mode in TERMINAL_QR_MODES and tls:
        raise click.UsageError(f"--tls-key and --tls-certificate are for a page, not for {mode}")
    if len(tls) == 1:
        raise click.UsageError("expected --tls-key and --tls-certificate together")
    if any(" " in path or "\t" in path for path in tls):
        raise click.UsageError("a path in a record must not contain spaces")


def _apply_people(location: Location, fields: Fields, options: EnrollOptions) -> None:
    """Set how many people answer. No change of keys makes it one: --one-person alone does."""
    if options.people is not None:
        fields.needed = TWO if options.people == BOTH else 1
    if fields.needed > 1 and options.piped:
        raise CommandError(
            f"{location.shown} asks for two people, and over a pipe one can answer",
            f"trex enroll{location.typed} --key FILE, where the record is",
        )
    if fields.needed > 1 and len(fields.recipients) < TWO:
        raise CommandError(
            f"{location.shown}: two people answer with two keys, and this leaves 1",
            "--add keeps the record's keys; --fingerprint, twice, takes two of one FILE; "
            "--one-person lets one answer",
        )


def _has_tls(mode: str = "") -> bool:
    return mode in WEB_QR_MODES and WEB_QR_MODES[mode].tls
