"""Keys of a central record that is removed: those that no other record names can go with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.setup import keyring, recordfile
from trex.cli.setup.others import named_elsewhere
from trex.errors import FileUnsafe, TrexError, one_line
from trex.openpgp.keylist import Key, parse_listing
from trex.openpgp.recipients import carriers, is_named, verdict
from trex.openpgp.record import is_file, parse_record
from trex.system.privilege import native, readable

if TYPE_CHECKING:
    from trex.cli.location import Location


@dataclass
class Leftover:
    """Fingerprints in the keyring and paths of key files that can go; of others, why they stay."""

    fingerprints: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def find_leftover(location: Location, content: bytes) -> Leftover:
    """Return what becomes of the keys that a record names. Raises CommandError."""
    try:
        record = parse_record(content, location.record, "/")
    except TrexError as error:
        return Leftover(kept=[f"Its keys stay: {one_line(str(error))}"])
    others = run_as(location.writer, lambda: named_elsewhere(location))
    names = [name for name in record.recipients if not is_file(name)]
    found = Leftover()
    if names:
        told = run_as(location.reader, lambda: _in_keyring(location, names, others, record.sign_as))
        found = Leftover(told["go"], [], told["stay"])
    for path in filter(is_file, record.recipients):
        if by := [other for other, used in others.items() if path in used or not used]:
            found.kept.append(_stays(path, by[0]))
        else:
            found.files.append(path)
    return found


def remove_leftover(location: Location, leftover: Leftover) -> None:
    """Remove these keys, key files with a copy. Raises CommandError if one is still there."""
    home = location.gnupg_home
    if leftover.fingerprints:
        run_as(location.reader, lambda: keyring.delete_keys(home, leftover.fingerprints))
        there = run_as(location.reader, lambda: keyring.fingerprints_in(home))
        if still := sorted(set(leftover.fingerprints).intersection(there)):
            raise CommandError(
                f"{readable(home)}: gpg did not remove {', '.join(still)}",
                "has it a secret part there? gpg --delete-secret-and-public-key",
            )
    for path in leftover.files:
        run_as(location.writer, partial(_remove_file, location, native(path)))


def _in_keyring(
    location: Location, names: list[str], others: dict[str, list[str]], signer: str
) -> dict[str, Any]:
    """Return the fingerprints that can go, and why others stay."""
    listed = parse_listing(keyring.keys_here(location.gnupg_home)["listing"])
    go, stay = [], []
    for name in names:
        key, _ = verdict(name, listed, trust=True)
        if key is None:
            continue
        if reason := _why_it_stays(key, listed, others, signer):
            stay.append(reason)
        elif key.fingerprint not in go:
            go.append(key.fingerprint)
    return {"go": go, "stay": stay}


def _why_it_stays(key: Key, listed: list[Key], others: dict[str, list[str]], signer: str) -> str:
    if signer and is_named(key, signer):
        return f"Kept: the key {key.fingerprint}, which signs challenges"
    for other, used in others.items():
        if not used or any(is_named(key, name) for name in used if not is_file(name)):
            return _stays(f"the key {key.fingerprint}", other)
    if found := carriers(key.fingerprint, listed):
        # gpg might remove the other one.
        return f"Kept: the key {key.fingerprint}, a copy of which is in {found[0].fingerprint}"
    return ""


def _stays(what: str, other: str) -> str:
    return f"Kept: {one_line(what)}, which the record of {one_line(other)} names, or may name"


def _remove_file(location: Location, path: str) -> None:
    recordfile.check_parents(path, location.writer)
    content = recordfile.read_existing(path)
    if content is None:
        return
    try:
        recordfile.remove(path, content, 0o644, location.writer.gid)
    except (OSError, FileUnsafe) as error:
        raise CommandError(f"{readable(path)}: {error}", "remove it by hand") from None
