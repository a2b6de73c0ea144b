"""Which keys the other records of central mode name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.directory import names_in
from trex.errors import TrexError
from trex.login.options import expand
from trex.openpgp.record import parse_record
from trex.system.privilege import native
from trex.system.safefile import read_safely

if TYPE_CHECKING:
    from trex.cli.location import Location


def named_elsewhere(location: Location) -> dict[str, list[str]]:
    """Return, by user, the keys that each other record names; none for one that cannot be read.

    To be called in a process of the writer's.
    """
    found = {}
    for name in names_in(location.options.auth_file):
        path = native(expand(location.options.auth_file, user=name, home="/"))
        if path == location.record:
            continue
        try:
            record = parse_record(read_safely(path, location.writer), path, "/")
            found[name] = [*record.recipients, *([record.sign_as] if record.sign_as else [])]
        except TrexError:
            found[name] = []
    return found
