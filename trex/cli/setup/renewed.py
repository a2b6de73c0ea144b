"""A key that a record names already, brought again: extended, or with its revocation."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from trex.cli.errors import CommandError
from trex.cli.setup import keyfile, recordfile
from trex.openpgp.recipients import from_file
from trex.openpgp.record import ONE_SUBKEY, is_file
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.cli.setup.enrolment import EnrollOptions
    from trex.openpgp.keylist import Key


def names_for_record(
    location: Location, before: bytes | None, chosen: list[Key], options: EnrollOptions, *,
    is_new: bool,
) -> tuple[str, list[str]]:  # fmt: skip
    """Return the path of the key's own file, or "", and the keys' names for the record.

    A record that names them keeps its names, a subkey's or a file's. If it names all of them, its
    other keys stay, too: not for `trex copy-id --replace`, nor where a table says which keys there
    are. `is_new` is for keys that are not in the keyring yet.
    """
    there = _recipients(location, before, any_account=options.same_person)
    if options.piped:  # what comes over a pipe goes into the keyring
        there = [name for name in there if not is_file(name)]
    own = [[name for name in there if _is_of(location, name, key)] for key in chosen]
    if options.key_file:
        path = keyfile.path_of(options.key_file, location)
        if options.add and path in there and [path] not in own and keyfile.read(location, path):
            raise CommandError(
                f"{readable(path)}: the record names this file, with another key in it, and --add "
                "keeps that",
                "--key-file with another path",
            )
        return path, there if [path] in own else [path]
    files = [name for names in own for name in names if is_file(name)]
    path = files[0] if is_new and files and len(chosen) == 1 else ""
    if all(own) and not (options.piped or options.source):
        return path, there
    pairs = zip(chosen, own, strict=True)
    return path, [name for key, names in pairs for name in names or [key.fingerprint]]


def with_way_to_revoke(error: CommandError, location: Location, file: str | None) -> CommandError:
    """Return the error for a revoked key with what has to be done, unless it is in the keyring."""
    if file is None:
        return error
    typed = "- < FILE" if file == "-" else shlex.quote(file)
    return CommandError(
        f"{error}. It was not enrolled, and a record that names it does not know this yet",
        f"trex revoke{location.typed} {typed}; then another key: a key stays revoked",
    )


def _recipients(location: Location, before: bytes | None, *, any_account: bool) -> list[str]:
    """Return the keys of a record, none of one that was made for another account."""
    fields = recordfile.fields_of(before or b"", location.record, readable(location.user.home))
    is_own = any_account or fields.uid in (None, location.user.uid)
    return fields.recipients if is_own else []


def _is_of(location: Location, name: str, key: Key) -> bool:
    """Tell whether a record's name stands for this key, or for one of its subkeys alone."""
    if is_file(name):
        content = keyfile.read(location, name)
        return content is not None and from_file(name, content).fingerprint == key.fingerprint
    if name.endswith(ONE_SUBKEY):
        return name.removesuffix(ONE_SUBKEY) in [sub.fingerprint for sub in key.subkeys]
    return name == key.fingerprint
