"""The enrolment of one user: planned, which changes nothing, and then carried out or undone."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.setup import keyfile, recordfile
from trex.cli.setup.choosing import RevokedKey, choose_keys
from trex.cli.setup.enrolment import compose_record, kept_recipients, owner_of
from trex.cli.setup.keysource import Blocks, clean_chosen, imported
from trex.cli.setup.others import named_elsewhere
from trex.cli.setup.renewed import names_for_record, with_way_to_revoke
from trex.openpgp.keyblock import blocks
from trex.system.privilege import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trex.cli.location import Location
    from trex.cli.setup.enrolment import EnrollOptions
    from trex.cli.setup.keysource import FoundKeys
    from trex.openpgp.keylist import Key


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What enrolling a user is going to change."""

    location: Location
    options: EnrollOptions
    before: bytes | None  # the record's file
    content: bytes  # what it becomes
    chosen: list[Key]  # none where the record keeps its keys
    clean: Blocks
    path: str  # of the key's separate file, or ""
    kept: bytes | None  # that file's content now
    has_keys: bool  # keyring or file has the keys as they are
    is_current: bool  # the record's file is right, owner and mode included

    @property
    def changes_nothing(self) -> bool:
        """Whether all is as it shall be."""
        return self.is_current and self.has_keys

    def dropped(self) -> list[str]:
        """Return the keys that can answer now, and then no more."""
        path, home = self.location.record, readable(self.location.user.home)
        new = recordfile.fields_of(self.content, path, home).recipients
        old = recordfile.fields_of(self.before or b"", path, home).recipients
        if self.kept:
            old.append(blocks(self.kept)[0].fingerprint)
        stays = {*new, *(key.fingerprint for key in self.chosen)}
        return [name for name in old if name not in stays]


def make_plan(location: Location, options: EnrollOptions, find: Callable[[], FoundKeys]) -> Plan:
    """Return what `options` change for a user; `find` is called unless the record keeps its keys.

    Raises CommandError and RecordError where they would make a record that refuses logins.
    """
    # First: this finds a dead file system soon.
    before = recordfile.read_as(location.writer, location.record)
    names = kept_recipients(location, before, options)
    chosen: list[Key] = []
    clean, path, kept = Blocks([], is_known=True), "", None
    if not names:
        found = find()
        chosen = _chosen(location, options, found)
        is_new = bool(found.armored)
        path, names = names_for_record(location, before, chosen, options, is_new=is_new)
        clean = clean_chosen(location, found.armored, chosen, path)
    has_keys = clean.is_known
    if path:
        kept = keyfile.read(location, path)
        has_keys = keyfile.is_current(location, path, bytes.fromhex(clean.keys[0]), kept)
    content = compose_record(location, before, chosen, names, options)
    if _is_other_key(location, before, content, chosen, kept):
        content = recordfile.with_owner(content, owner_of(chosen))
    return Plan(
        location=location, options=options, before=before, content=content, chosen=chosen,
        clean=clean, path=path, kept=kept, has_keys=has_keys,
        is_current=content == before and run_as(location.writer, lambda: _has_access(location)),
    )  # fmt: skip


def _is_other_key(
    location: Location, before: bytes | None, content: bytes, chosen: list[Key], kept: bytes | None
) -> bool:
    """Return whether no key of the record before, nor its file `kept`, stays."""
    if kept and blocks(kept)[0].fingerprint not in [key.fingerprint for key in chosen]:
        return True
    home = readable(location.user.home)
    old, new = (
        recordfile.fields_of(text or b"", location.record, home).recipients
        for text in (before, content)
    )
    return bool(chosen) and bool(old) and set(old).isdisjoint(new)


def _chosen(location: Location, options: EnrollOptions, found: FoundKeys) -> list[Key]:
    shared = location.shares_keyring and not found.armored
    silently = options.silently
    try:
        return choose_keys(found.listing, options.wanted, silently=silently, shared=shared)
    except RevokedKey as error:
        raise with_way_to_revoke(error, location, options.file) from None


def carry_out(plan: Plan, prove: Callable[[bytes], None]) -> None:
    """Change keys and record as planned, after a `prove` of the new record that does not raise.

    Whatever fails, record and keys are as before. Raises CommandError.
    """
    is_proved = plan.is_current and not plan.options.piped
    if plan.path and not plan.has_keys:
        with keyfile.staged(plan.location, plan.path, bytes.fromhex(plan.clean.keys[0])) as made:
            prove(compose_record(plan.location, plan.before, plan.chosen, [made], plan.options))
        is_proved = True
    with _keys_in_place(plan):
        if not is_proved:
            prove(plan.content)
        if not plan.is_current:
            run_as(plan.location.writer, lambda: _write(plan))


@contextmanager
def _keys_in_place(plan: Plan) -> Iterator[None]:
    """Put the keys where logins find them; if the block fails, undo that.

    Unless another run has written the record meanwhile, or another user's record names them by now.
    """
    location = plan.location

    def is_mine() -> bool:
        if recordfile.read_as(location.writer, location.record) != plan.before:
            return False
        if not location.shares_keyring:
            return True
        others = run_as(location.writer, lambda: named_elsewhere(location))
        theirs = {name for names in others.values() for name in names}
        return theirs.isdisjoint(key.fingerprint for key in plan.chosen)

    if plan.has_keys:
        yield
    elif plan.path:
        block = bytes.fromhex(plan.clean.keys[0])
        with keyfile.replaced(plan.location, plan.path, block, plan.kept, is_mine):
            yield
    else:
        with imported(plan.location, plan.clean.keys, plan.chosen, is_mine):
            yield


# ------------------------------------------------------------- in a process of the writer's


def _has_access(location: Location) -> bool:
    """Return whether owner, group and mode are right. Raises FileUnsafe as writing would."""
    writer, reader = location.writer, location.reader
    recordfile.check_parents(location.record, writer)
    return recordfile.has_right_access(location.record, writer.uid, location.mode, reader.gid)


def _write(plan: Plan) -> None:
    location = plan.location
    recordfile.check_parents(location.record, location.writer)
    try:
        recordfile.replace_record(
            location.record, plan.content, plan.before, location.mode, location.reader.gid
        )
    except OSError as error:
        raise CommandError(
            f"{location.shown}: {error.strerror}; the record is unchanged",
            "is the disk full, or does the directory belong to another account?",
        ) from None
