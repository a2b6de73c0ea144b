"""`trex remove`: remove a user's record and keep a copy."""

from __future__ import annotations

from typing import Any

import click

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.location import find_location, location_options
from trex.cli.setup import recordfile
from trex.cli.setup.questions import confirm
from trex.cli.terminal import say

EPILOG = """\b
Examples:
  trex remove
  sudo trex remove --user alice --yes
"""


@click.command(epilog=EPILOG, short_help="Remove a user's record.")
@location_options
@click.option("--yes", is_flag=True, help="Ask no questions.")
def command(*, yes: bool, **arguments: Any) -> None:
    """Remove a record: its user can no longer log in with Trex.

    A copy stays beside it, with a ~ at the end of its name. Keys stay in the keyring.
    """
    location = find_location(**arguments)
    before = recordfile.read_as(location.writer, location.record)
    if before is None:
        say(f"{location.shown}: no record, nothing to remove.")
        return
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
    say(f"Removed. A copy is in {location.shown}{recordfile.BACKUP}")
