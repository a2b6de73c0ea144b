"""`trex enroll --central` by a user: the key in a file, and the line that the administrator types.

Records of central mode are root's. What reaches the administrator is this file and a fingerprint.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import click

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.location import find_location
from trex.cli.setup import keyring
from trex.cli.setup.choosing import choose_keys, describe_key
from trex.cli.setup.enrolment import ALONE, BOTH
from trex.cli.setup.keysource import clean_chosen, find_keys
from trex.cli.terminal import answer, say
from trex.errors import one_line
from trex.login.options import CENTRAL
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.cli.setup.enrolment import EnrollOptions
    from trex.openpgp.keylist import Key

DIRECTORY = "/etc/trex/users"


def write_hand_in(options: EnrollOptions) -> None:
    """Write the user's public key to a file of theirs, and say what becomes of it."""
    if options.piped:
        raise click.UsageError("--piped writes a record, and one of central mode is root's")
    location = find_location(options.user, central=False)
    found = find_keys(location, options, None)
    chosen = choose_keys(found.listing, options.wanted, silently=options.silently, shared=False)
    content = _keys(location, found.armored, chosen)
    path = os.path.join(location.user.home, f"trex-{location.user.name}.pgp")
    for key in chosen:
        say(f"For {location.user.name}:\n{describe_key(key)}")
    if options.dry_run:
        return
    run_as(location.user, lambda: _write(path, content))
    shown = readable(path)
    say(
        f"Written: {one_line(shown)}. Records of central mode are root's: hand this file in, and "
        "have the fingerprint compared.\nThe administrator types:"
    )
    # No "- < FILE": the administrator's shell would open it, and may not read this home.
    answer(f"sudo trex enroll{_typed(options)} --user {shlex.quote(location.user.name)} --key "
           f"{shlex.quote(shown)}")  # fmt: skip


def say_who_else_decides(location: Location) -> None:
    """Say to a user who has enrolled in their home that root's records are not changed by that."""
    if not location.options.run_as and os.geteuid() != 0 and os.path.isdir(DIRECTORY):
        say(
            f"Where this host asks by records of root's ({DIRECTORY}), this changes nothing:\n"
            "trex enroll --central writes the file that is handed in for that."
        )


def _keys(location: Location, armored: str, chosen: list[Key]) -> bytes:
    """Return the keys alone, without copies of others'."""
    home = location.gnupg_home
    if not armored:
        names = [key.fingerprint for key in chosen]
        armored = run_as(
            location.reader, lambda: "".join(keyring.exported(home, name) for name in names)
        )
    return bytes.fromhex("".join(clean_chosen(location, armored, chosen, "").keys))


def _write(path: str, content: bytes) -> None:
    """Write the file; one of that name is from an earlier run. Raises CommandError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags, 0o644), "wb") as file:
            file.write(content)
    except OSError as error:
        raise CommandError(f"{readable(path)}: {error.strerror}", "rm it, or free space") from None


def _typed(options: EnrollOptions) -> str:
    """Return the options that the administrator needs too, each after a space."""
    given = ((name, getattr(options, name)) for name in (*CENTRAL, "key_file", "sign_as", "page"))
    words = [f" --{name.replace('_', '-')} {shlex.quote(said)}" for name, said in given if said]
    people = {BOTH: " --two-people", ALONE: " --one-person"}.get(options.people or "", "")
    return " --central" + " --add" * options.add + people + "".join(words)
