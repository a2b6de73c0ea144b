"""`trex show`: explain a record, read as the module reads it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.location import Location, find_location, location_options, words_of
from trex.cli.setup.choosing import in_days, shown_user_id
from trex.cli.terminal import answer, say
from trex.errors import MAX_PATH, NoRecord, cut, one_line
from trex.login.method import is_absent
from trex.openpgp.errors import KeyNotFound
from trex.openpgp.keylist import NEVER, Key, day, parse_listing
from trex.openpgp.keyring import Keyring
from trex.openpgp.recipients import as_named, verdict
from trex.openpgp.record import ONE_SUBKEY, TWO, check_account, parse_record
from trex.system.privilege import readable
from trex.system.safefile import read_safely

if TYPE_CHECKING:
    from trex.openpgp.errors import KeyUnusable
    from trex.openpgp.record import AuthRecord

EPILOG = """\b
Examples:
  trex show
  sudo trex show --user alice
  sudo trex show --central --user alice
"""


@click.command(epilog=EPILOG, short_help="Say what a user's record means.")
@location_options
def command(**arguments: Any) -> None:
    """Explain a record: who can answer, until when, and how a challenge is shown.

    The module's own code reads the record, with the rights that a login has. What would refuse a
    login is an error here.
    """
    location = find_location(gone=True, **arguments)
    told = run_as(location.reader, lambda: _read(location), location.seconds())
    record = parse_record(told["content"].encode(), location.record, readable(location.user.home))
    for warning in record.warnings:
        say(f"trex: warning: {one_line(warning)}")
    answer(f"{location.user.name}: {location.shown}, line {record.line}")
    if record.needed > 1:
        answer(f"Takes two people: {_which(record)}, each with a message of their own")
    faults = 0
    for name, listing in zip(record.recipients, told["listings"], strict=True):
        faults += _show_key(name, listing, trust=record.trust)
    for note in _said_of_notes(record):
        answer(note)
    answer(_said_of_trust(record))
    answer(_said_of_signature(record))
    answer(_said_of_page(record))
    if location.is_gone:
        raise CommandError(
            f"there is no account {location.user.name}, only this record",
            f"trex remove{words_of(location.options)} --user {shlex.quote(location.user.name)}",
        )
    check_account(record, location.record, location.user)
    left = len(record.recipients) - faults
    if faults and (left < record.needed or not record.leaves_out):
        raise CommandError("this record refuses every login", _next(location))


def _which(record: AuthRecord) -> str:
    return "both keys" if len(record.recipients) == TWO else "any two of these keys"


def _next(location: Location) -> str:
    """Return the command that explains the fault; for a central record it needs root."""
    user = shlex.quote(location.user.name)
    if location.options.run_as:
        return f"sudo trex doctor --user {user} --service SERVICE"
    return f"trex doctor --user {user}"


def _read(location: Location) -> dict[str, Any]:
    """Read record and keys, in a process of the reader's."""
    if is_absent(location.record, location.reader):
        raise NoRecord(f"{location.shown}: no such file")
    content = read_safely(location.record, location.reader)
    record = parse_record(content, location.record, readable(location.user.home))
    options = location.options
    with Keyring(options.gpg, location.reader, location.gnupg_home, options.gpg_timeout) as keyring:
        listings = [_listing(keyring, name, trust=record.trust) for name in record.recipients]
    return {"content": content.decode(), "listings": listings}


def _listing(keyring: Keyring, name: str, *, trust: bool) -> str:
    """Return what gpg lists for a name, "" for a key file that is not there."""
    try:
        return keyring.list_recipient(name, trust=trust)
    except KeyNotFound:
        return ""


def _show_key(name: str, listing: str, *, trust: bool) -> int:
    """Show one recipient; return 1 if it makes every login fail, else 0."""
    keys = parse_listing(listing)
    key, fault = verdict(name, keys, trust=trust)
    if key is None:
        answer(f"Can answer: nobody, because {one_line(str(fault))}")
        return 1
    others = [other.fingerprint for other in keys if other is not key]
    if others:
        said = "carries the address" if "@" in name else "carries a copy of"
        said = said if len(others) == 1 else said.replace("carries", "carry")
        keys_said = "1 other key" if len(others) == 1 else f"{len(others)} other keys"
        say(f"trex: warning: {keys_said} {said} {name}: {', '.join(others)}")
    until = _how_long(as_named(name, key), fault)
    answer(f"Can answer: {_who(key)}\n            {key.fingerprint}, {until}")
    if name.endswith(ONE_SUBKEY):
        answer(f"            with its subkey {name.removesuffix(ONE_SUBKEY)} alone")
    return 1 if fault else 0


def _who(key: Key) -> str:
    return "; ".join(map(shown_user_id, key.user_ids)) or "a key without a user id"


def _how_long(key: Key, fault: KeyUnusable | None) -> str:
    if fault:
        return f"but not now: {one_line(str(fault))}"
    if key.lasts_until == NEVER:
        return "without an end"
    return f"until {day(key.lasts_until)}, {in_days(key.lasts_until)}"


def _said_of_notes(record: AuthRecord) -> list[str]:
    told = [] if record.uid is None else [f"Made for: the account with uid {record.uid}"]
    if record.leaves_out:
        others = "another" if record.needed == 1 else "two others"
        told.append(f"A key that cannot be used is left out, as long as {others} can be")
    return told


def _said_of_trust(record: AuthRecord) -> str:
    return "Trust: " + (
        "the record vouches for the keys" if record.trust else "gpg has to trust them"
    )


def _said_of_signature(record: AuthRecord) -> str:
    return (
        f"Challenges are signed by {record.sign_as}"
        if record.sign_as
        else "Challenges are not signed"
    )


def _said_of_page(record: AuthRecord) -> str:
    if record.terminal_qr:
        return f"Shown: as text, and as a QR code in the prompt of a {record.terminal_qr} terminal"
    if not record.web_qr:
        return "Shown: as text"
    who = "with a password" if record.web_qr.authentication else "open to all who know its address"
    if not record.web_qr.tls:
        how = "plain HTTP"
    elif record.tls_key:
        how = f"TLS with {cut(record.tls_certificate, MAX_PATH)}"
    else:
        how = "TLS with a certificate made for each login"
    return f"Shown: as text, and as a QR code on a page {who}, {how}"
