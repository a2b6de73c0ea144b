"""`trex revoke`: a key lets nobody in any more, and what still can is said."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from trex.cli.accounts import sessions
from trex.cli.accounts.certificate import REVOCATION, read_revocations
from trex.cli.accounts.ending import import_revocations, read_record, take_away
from trex.cli.accounts.remaining import tell_what_is_left, tell_what_is_open
from trex.cli.errors import CommandError
from trex.cli.location import find_location, location_options
from trex.cli.remembered import end_grace
from trex.cli.setup.givenfile import read_given
from trex.cli.setup.questions import confirm
from trex.cli.terminal import answer
from trex.openpgp.record import FINGERPRINT_LENGTHS, HEX_DIGITS, ONE_SUBKEY

if TYPE_CHECKING:
    from trex.system.privilege import Account

EPILOG = """\b
Examples:
  trex revoke AE5C97684A4FFB40907D0A1787DE803A22DA5C30.rev
  sudo trex revoke --user alice - < alice-revoked.asc
  sudo trex revoke --user alice AE5C97684A4FFB40907D0A1787DE803A22DA5C30
  sudo trex revoke --user alice --end-sessions
"""


@click.command(epilog=EPILOG, short_help="Have a key let nobody in any more.")
@location_options
@click.argument("what", metavar="[FILE|FINGERPRINT]", required=False)
@click.option("--end-sessions", is_flag=True, help="End all processes of the user's; asks first.")
@click.option("--yes", is_flag=True, help="Ask no questions.")
def command(*, what: str | None, end_sessions: bool, yes: bool, **arguments: Any) -> None:
    """Revoke a key of a record, and say what can still log in.

    FILE has the revocation: a certificate, or a key with one; - is standard input. It is imported
    where logins take the key from, a keyring or a file, and nothing else in FILE is. With a
    FINGERPRINT the key is taken out of record and keyring.

    Where the record names other keys, it then names these alone. Where it does not, or where it
    asks for two people and one key is left, it stays and refuses every login.
    """
    if not (what or end_sessions):
        raise click.UsageError("expected FILE, FINGERPRINT or --end-sessions")
    location = find_location(**arguments)
    if end_sessions:
        sessions.check_may_end(location.user)
    if what:
        fingerprint = fingerprint_in(what)
        revocations = (
            [] if fingerprint else read_revocations(*read_given(location.user, what, REVOCATION))
        )
        record = read_record(location)
        ended = (
            take_away(record, fingerprint, silently=yes)
            if fingerprint
            else import_revocations(record, revocations, what, silently=yes)
        )
        end_grace(location.user.uid)
        tell_what_is_left(location, ended, what)
    if end_sessions:
        end_grace(location.user.uid)
        _end_sessions(location.user, silently=yes)
    else:
        tell_what_is_open(location.user)


def fingerprint_in(what: str) -> str:
    """Return a fingerprint in capitals, "" for what is the name of a file."""
    plain = what.replace(" ", "").removeprefix("0x").upper()
    digits = plain.removesuffix(ONE_SUBKEY)
    is_one = len(digits) in FINGERPRINT_LENGTHS and HEX_DIGITS.issuperset(digits)
    return plain if is_one else ""


def _end_sessions(user: Account, *, silently: bool) -> None:
    running = sessions.processes_of(user)
    if not running:
        answer(f"{user.name} has no processes: no session is open.")
        return
    said = f"{sessions.described(running)} of {user.name}"
    if not silently:
        confirm(f"End {said}, uid {user.uid}? What is not saved is lost.")
    left = sessions.end_sessions(user)
    if left:
        raise CommandError(
            f"{sessions.described(left)} of {user.name} did not end",
            f"ps -fu {shlex.quote(user.name)}",
        )
    answer(f"Ended: {said}")
