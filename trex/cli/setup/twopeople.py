"""What is one person's, for an account whose record takes two."""

from __future__ import annotations

from contextlib import suppress

from trex.cli.delegate import run_as
from trex.cli.location import location_of
from trex.cli.setup.recordfile import fields_of
from trex.cli.terminal import say
from trex.errors import TrexError
from trex.login.options import CENTRAL, Options, parse_options
from trex.system.privilege import readable
from trex.system.safefile import read_safely


def warn_of_one(user: str, what: str) -> None:
    """Warn if the record of `user` takes two people: `what` is one person's.

    It is looked for where the module looks by default, and in central mode. What this process may
    not read, or is no record, is nothing to warn of.
    """
    for options in (Options(), parse_options([f"{name}={CENTRAL[name]}" for name in CENTRAL])):
        with suppress(TrexError):
            if _needed(user, options) > 1:
                say(
                    f"trex: warning: the record of {user} takes two people. One of them gets in "
                    f"alone where a service takes {what}: sudo trex doctor finds such a line"
                )
                return


def _needed(user: str, options: Options) -> int:
    """Return how many people the record takes. Raises TrexError if there is none to read."""
    location = location_of(user, options)

    def read() -> int:
        content = read_safely(location.record, location.reader)
        return fields_of(content, location.record, readable(location.user.home)).needed

    needed: int = run_as(location.reader, read, location.seconds(0))
    return needed
