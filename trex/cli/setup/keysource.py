"""The keys that `trex enroll` is given: from one source, without copies of others, imported."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.setup import keyring
from trex.cli.setup.givenfile import KEY, read_given
from trex.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trex.cli.location import Location
    from trex.cli.setup.enrolment import EnrollOptions
    from trex.cli.setup.piped import Pipe
    from trex.openpgp.keylist import Key


@dataclass(frozen=True)
class FoundKeys:
    """Keys as gpg's colon listing and, unless they are in the keyring already, armored."""

    listing: str
    armored: str


@dataclass(frozen=True)
class Blocks:
    """Public keys, each in hex, and whether the keyring has all of them as they are."""

    keys: list[str]
    is_known: bool


def find_keys(location: Location, options: EnrollOptions, pipe: Pipe | None) -> FoundKeys:
    """Return the keys of the one source that is named."""
    file, address = options.file, options.locate
    if pipe:
        if file or address or options.from_keyring or options.key_file or options.no_proof:
            raise click.UsageError("--piped brings the key itself, and its proof")
        key = pipe.read_key()
        return _found(location, lambda: keyring.keys_in(key, "standard input"))
    if (file is not None) + (address is not None) + options.from_keyring > 1:
        raise click.UsageError("expected only one of --key, --from-keyring and --locate")
    if file is not None:
        return keys_given(location, *read_given(location.user, file, KEY))
    if address is not None:
        return _found(location, lambda: keyring.keys_at(address))
    return keys_there(location)


def keys_given(location: Location, content: bytes, source: str) -> FoundKeys:
    """Return the keys in `content`, which is from `source`."""
    return _found(location, lambda: keyring.keys_in(content, source))


def keys_there(location: Location) -> FoundKeys:
    """Return the keys of the keyring that logins use."""
    return _found(location, lambda: keyring.keys_here(location.gnupg_home))


def _found(location: Location, work: Callable[[], dict[str, str]]) -> FoundKeys:
    return FoundKeys(**run_as(location.reader, work))


def clean_chosen(location: Location, armored: str, chosen: list[Key], path: str) -> Blocks:
    """Return the chosen keys without copies of other keys; report what is left out."""
    if path and (len(chosen) != 1 or not armored):
        raise CommandError("--key-file needs exactly one key, from --key or --locate", "--key FILE")
    if not armored:
        return Blocks([], is_known=True)
    fingerprints = [key.fingerprint for key in chosen]
    home = os.devnull if path else location.gnupg_home  # a separate file holds no other key
    told = run_as(location.reader, lambda: keyring.clean_blocks(home, armored, fingerprints))
    for key, copy in told["left_out"]:
        say(f"trex: warning: LEFT OUT of {key}: {copy}, which is another person's key")
    return Blocks([str(block) for block in told["blocks"]], is_known=bool(told["known"]))


@contextmanager
def imported(
    location: Location, clean: list[str], chosen: list[Key], may_undo: Callable[[], bool]
) -> Iterator[None]:  # fmt: skip
    """Import the keys for a block.

    If it fails and `may_undo` says so, those are taken out again that were not there before.
    """
    home, reader = location.gnupg_home, location.reader
    fingerprints = [key.fingerprint for key in chosen]
    new = run_as(reader, lambda: keyring.import_keys(home, clean, fingerprints))
    try:
        yield
    except BaseException:
        if new and may_undo():
            run_as(reader, lambda: keyring.delete_keys(home, new))
        raise
