"""A key of a record comes to its end: revoked where logins take it from, or taken out there."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trex.cli.accounts import elsewhere
from trex.cli.accounts.certificate import revoked_by
from trex.cli.accounts.named import keys_named_in, parsed
from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.setup import keyfile, keyring, recordfile
from trex.cli.setup.questions import confirm
from trex.cli.terminal import answer, folded, say
from trex.errors import one_line
from trex.openpgp.record import is_file
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.accounts.certificate import Revocations
    from trex.cli.accounts.named import Named
    from trex.cli.location import Location


@dataclass(frozen=True)
class Record:
    """A user's record as it is, and what its names stand for."""

    location: Location
    content: bytes
    named: list[Named]
    leaves_out: bool  # names that cannot be used
    needed: int  # how many of them answer

    @property
    def faults(self) -> list[str]:
        """Why it refuses every login, safe for a terminal; [] if enough can answer."""
        faults = [one_line(str(one.fault)) for one in self.named if one.fault]
        return [] if self.leaves_out and len(self.named) - len(faults) >= self.needed else faults


@dataclass(frozen=True)
class Revoked:
    """A key with its revocations, and the fingerprints of what they revoke."""

    one: Named
    block: bytes
    parts: list[str]


def read_record(location: Location) -> Record:
    """Return a user's record. Raises CommandError if there is none, and for one that is wrong."""
    content = recordfile.read_as(location.writer, location.record)
    if content is None:
        raise CommandError(
            f"{location.shown}: no record, so no key logs in by it", "trex doctor says who has one"
        )
    record = parsed(location, content)
    named = keys_named_in(location, record)
    return Record(location, content, named, record.leaves_out, record.needed)


def import_revocations(
    record: Record, revocations: Revocations, file: str, *, silently: bool
) -> list[Named]:
    """Import the revocations that are of the record's keys, and return these keys.

    Raises CommandError if there are none, or where a login still takes such a key.
    """
    location = record.location
    fitting = [_examined(record, one, revocations) for one in record.named if one.block]
    fitting = [one for one in fitting if one.parts]
    keys = [one.one for one in fitting] or [one for one in record.named if one.is_revoked]
    if not keys:
        names = one_line(", ".join(one.name for one in record.named))
        raise CommandError(
            f"{file}: it revokes none of the keys that {location.shown} names: {names}",
            f"trex revoke{location.typed} FINGERPRINT takes a key out without it",
        )
    _ask(location, keys, "Revoke it? A revocation cannot be taken back.",
         silently=silently or not fitting)  # fmt: skip
    faults = {one.one.name: _revoke_key(record, one) for one in fitting}
    untaken = {name: fault for name, fault in faults.items() if fault}
    after = keys_named_in(location, parsed(location, record.content))
    ended = [one.name for one in after if one.is_revoked or one.name in untaken]
    for fault in untaken.values():
        if len(after) - len(ended) < record.needed:
            raise fault
        say(f"trex: warning: {fault}; {fault.hint}")
    for key in keys:
        said = "Revoked" if fitting else "Was revoked already"
        answer(folded(f"{'Taken out' if key.name in untaken else said}: {key.who}"))
    _write_without(record, ended)
    return keys


def take_away(record: Record, fingerprint: str, *, silently: bool) -> list[Named]:
    """Take a key out of the record, and from where logins take it; return its names there.

    A record that is left with too few keys stays as it is. Raises CommandError if it names no such
    key, or where the only one cannot be taken away.
    """
    location = record.location
    meant = [one for one in record.named if one.is_meant_by(fingerprint)]
    if not meant:
        known = ", ".join(one.key.fingerprint if one.key else one.name for one in record.named)
        raise CommandError(f"{location.shown} names no key {fingerprint}", f"it names {known}")
    left = [one for one in record.named if one not in meant]
    _ask(location, meant, f"Take it out of {location.shown} and its keyring?", silently=silently)
    _write_without(record, [one.name for one in meant])
    for one in meant:
        try:
            _remove_key(location, one)
        except CommandError as error:
            if len(left) < record.needed:
                options = location.typed
                only = "the only key" if record.needed == 1 else "one of the two keys"
                raise CommandError(
                    f"{error}. It is {only} of {location.shown}, and still logs in",
                    error.hint
                    or f"trex revoke{options} FILE, with its revocation; or trex remove{options}, "
                    "if no PAM line says nullok",
                ) from None
            say(folded(f"trex: warning: {error}. {location.shown} does not name it any more."))
        answer(folded(f"Taken out: {one.who}"))
    return meant


def _ask(location: Location, keys: list[Named], question: str, *, silently: bool) -> None:
    for one in keys:
        say(f"For {location.user.name}: {one.described}")
    if not silently:
        confirm(question)


def _examined(record: Record, one: Named, revocations: Revocations) -> Revoked:
    def examine() -> list[Any]:
        block, parts = revoked_by(one.block, revocations)
        return [block.hex(), parts]

    block, parts = run_as(record.location.reader, examine)
    return Revoked(one, bytes.fromhex(block), parts)


def _revoke_key(record: Record, revoked: Revoked) -> CommandError | None:
    """Replace a key by the revoked one, and look again; return why a login still takes it.

    Where another key carries this one nothing is imported: GnuPG 2.4 was seen to write it over that
    other key, which may be another user's.
    """
    location = record.location
    if copied := _copied(location, revoked.one):
        return copied
    try:
        _put_back(location, revoked)
    except CommandError as error:
        return error
    named = keys_named_in(location, parsed(location, record.content))
    now = next(one for one in named if one.name == revoked.one.name)
    there, parts = now.key.subkeys if now.key else [], revoked.parts
    still = [sub.fingerprint for sub in there if sub.fingerprint in parts and sub.usable]
    if not still:
        return None
    return CommandError(
        f"gpg did not take the revocation of {', '.join(still)}, which still logs in",
        f"trex revoke{location.typed} {revoked.one.fingerprint}",
    )


def _put_back(location: Location, revoked: Revoked) -> None:
    """Put the revoked key where a login takes it from. Raises CommandError."""
    name, block, home = revoked.one.name, revoked.block, location.gnupg_home
    if is_file(name):
        keyfile.put_revoked(location, name, block)
        say(f"Written: {name}")
        return
    fingerprints = [revoked.one.fingerprint]
    run_as(location.reader, lambda: keyring.import_keys(home, [block.hex()], fingerprints))
    say(f"Imported into {readable(home)}.")


def _copied(location: Location, one: Named) -> CommandError | None:
    """Return the error where another key carries this one: gpg finds that, and not its owner's."""
    if is_file(one.name):
        return None
    home = location.gnupg_home
    for carrier, _, owner, _ in run_as(location.reader, lambda: keyring.copies_in(home)):
        if one.fingerprint in (owner, carrier):
            other = owner if carrier == one.fingerprint else carrier
            return CommandError(
                f"{readable(home)}: the key {other} carries a copy of {one.fingerprint} or of its "
                "subkey, and gpg finds that one",
                f"as {location.reader.name}: gpg --homedir {shlex.quote(readable(home))} "
                f"--delete-keys {other}; then trex revoke again",
            )
    return None


def _remove_key(location: Location, one: Named) -> None:
    """Remove a key from where a login takes it. Raises CommandError if it has to stay there."""
    if one.key is None:
        return
    home, fingerprint = location.gnupg_home, one.fingerprint
    shown = one.name if is_file(one.name) else readable(home)
    if os.geteuid() == 0 and (location.shares_keyring or is_file(one.name)):
        path = one.name if is_file(one.name) else ""
        others = [other.user.name for other in elsewhere.others_with(location, one.key, path)]
        if others:
            raise CommandError(f"{shown} keeps {fingerprint} for {', '.join(others)}")
    if is_file(one.name):
        keyfile.remove_key(location, one.name)
        say(f"Removed: {shown}. A copy is in {shown}{recordfile.BACKUP}")
        return
    if copied := _copied(location, one):
        raise copied
    run_as(location.reader, lambda: keyring.delete_keys(home, [fingerprint]))
    if fingerprint in run_as(location.reader, lambda: keyring.fingerprints_in(home)):
        raise CommandError(f"{shown} keeps {fingerprint}: gpg deletes none that has a secret key")


def _write_without(record: Record, names: list[str]) -> None:
    """Write the record without these keys; one that is left with too few stays as it is.

    So one of two people never answers alone.
    """
    location = record.location
    left = [one.name for one in record.named if one.name not in names]
    if not names or len(left) < record.needed:
        return
    fields = recordfile.fields_of(record.content, location.record, readable(location.user.home))
    fields.recipients = left
    content = recordfile.with_record(record.content, fields, "", location.record)
    mode, gid = location.mode, location.reader.gid

    def write() -> None:
        recordfile.check_parents(location.record, location.writer)
        try:
            recordfile.replace_record(location.record, content, record.content, mode, gid)
        except OSError as error:
            raise CommandError(
                f"{location.shown}: {error.strerror}; the record is unchanged", "is the disk full?"
            ) from None

    run_as(location.writer, write)
    say(f"Written: {location.shown}")
