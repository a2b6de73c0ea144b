"""`trex remove`: remove a user's record and keep a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.location import find_location, location_options
from trex.cli.remembered import end_grace
from trex.cli.setup import recordfile
from trex.cli.setup.leftover import Leftover, find_leftover, remove_leftover
from trex.cli.setup.questions import confirm
from trex.cli.terminal import say
from trex.errors import one_line
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location

EPILOG = """\b
Examples:
  trex remove
  sudo trex remove --user alice --yes
  sudo trex remove --central --user alice --with-keys
"""


@click.command(epilog=EPILOG, short_help="Remove a user's record.")
@location_options
@click.option(
    "--with-keys", is_flag=True, help="Also remove its keys that no other central record names."
)
@click.option("--yes", is_flag=True, help="Ask no questions.")
def command(*, with_keys: bool, yes: bool, **arguments: Any) -> None:
    """Remove a record: its user can no longer log in with Trex.

    A copy stays beside it, with a ~ at the end of its name. Keys stay in the keyring. A central
    record can be removed after its account.
    """
    location = find_location(gone=True, **arguments)
    if with_keys and not location.options.run_as:
        raise click.UsageError("--with-keys needs --central: a keyring in a home is its user's own")
    before = recordfile.read_as(location.writer, location.record)
    if before is None:
        gone = f", and no account {location.user.name}" if location.is_gone else ""
        say(f"{location.shown}: no record{gone}, nothing to remove.")
        return
    leftover = find_leftover(location, before) if with_keys else Leftover()
    for line in _told(location, leftover):
        say(line)
    if not yes:
        confirm(f"Remove {location.shown}, so that {location.user.name} cannot log in with Trex?")

    def remove() -> None:
        recordfile.check_parents(location.record, location.writer)
        try:
            recordfile.remove(location.record, before, location.mode, location.reader.gid)
        except OSError as error:
            raise CommandError(
                f"{location.shown}: {error.strerror}; the record is unchanged",
                "is the disk full? a copy needs space",
            ) from None

    run_as(location.writer, remove)
    if not location.is_gone:
        end_grace(location.user.uid)
    say(f"Removed. A copy is in {location.shown}{recordfile.BACKUP}")
    if leftover.fingerprints or leftover.files:
        remove_leftover(location, leftover)
        say("Removed its keys.")


def _told(location: Location, leftover: Leftover) -> list[str]:
    """Return whom the record is of, and what goes with it."""
    home = one_line(readable(location.gnupg_home))
    gone = [f"There is no account {location.user.name}: only its record is left."]
    return [
        *(gone if location.is_gone else []),
        *(f"Also goes: the key {key} in {home}" for key in leftover.fingerprints),
        *(f"Also goes: {one_line(path)}" for path in leftover.files),
        *leftover.kept,
    ]
