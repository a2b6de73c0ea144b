"""The records of many accounts, read in one process with each reader's rights.

Each record and key is judged by the code of a login. What refuses one account is that account's
fault, and no other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trex.cli.accounts.enrolment import MAX_OWNER, Enrolled, HeldKey
from trex.cli.accounts.keybox import find_in_keybox
from trex.cli.accounts.keys import Ring, as_chosen, list_blocks, read_ring
from trex.cli.accounts.people import whole
from trex.errors import FileUnsafe, NoRecord, OtherAccount, TrexError, UserUnknown, cut, one_line
from trex.login.method import expand_path
from trex.openpgp.errors import KeyUnusable
from trex.openpgp.keyring import KEYBOXD, NO_HOME, Keyring, check_home, list_home, read_key_file
from trex.openpgp.recipients import as_named, choose_signer, from_file, verdict
from trex.openpgp.record import AuthRecord, check_account, is_file, parse_record
from trex.system.privilege import acting_as, find_account, readable
from trex.system.safefile import read_safely

if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.openpgp.keylist import Key
    from trex.openpgp.recipients import Chosen
    from trex.system.privilege import Account

NOBODY = "nobody"
FEW = 64  # names that gpg is asked for; for more, the whole keyring is listed


class Holder:
    """An account with its record, and whose rights read it."""

    def __init__(self, account: Account, reader: Account, enrolment: Enrolled) -> None:
        self.account = account
        self.reader = reader
        self.enrolment = enrolment
        self.record: AuthRecord | None = None
        self.ring: Ring | None = None  # if it was read without a gpg of its own

    @property
    def names(self) -> list[str]:
        """The names of keys in the keyring, the signing key's among them."""
        if not self.record:
            return []
        named = [*self.record.recipients, *filter(None, [self.record.sign_as])]
        return [name for name in named if not is_file(name)]


def read_records(
    accounts: list[Account], options: Options, servant: Account | None, seconds: int
) -> dict[str, Any]:
    """Return the enrolments of those accounts that have one, and a shared keyring's other keys.

    The result is JSON data: `enrolments` by name, `unnamed` keys as [fingerprint, owner], and
    `files`, the keys in files that records name. gpg has `seconds` for each keyring.
    """
    holders = [one for account in accounts if (one := _read(account, options, servant))]
    shared = _is_shared(options)
    if not servant:
        _read_keyboxes(holders, options, seconds)
    groups = [holders] if shared else [[holder] for holder in holders]
    unnamed: list[list[str]] = []
    for sharing in filter(None, groups):
        home = expand_path(options.gnupg_home, sharing[0].account)
        with Keyring(options.gpg, sharing[0].reader, home, seconds) as keyring:
            unnamed += _judge_all(sharing, keyring, shared=shared)
    files = [key for one in holders if one.record for key in one.record.recipients if is_file(key)]
    told = {one.account.name: one.enrolment.packed() for one in holders}
    return {"enrolments": told, "unnamed": unnamed, "files": files}


def keys_beside(options: Options, servant: Account, seconds: int) -> dict[str, Any]:
    """Return what `read_records` does for a shared keyring that no record uses yet."""
    if not _is_shared(options):
        return {"enrolments": {}, "unnamed": [], "files": []}
    home = expand_path(options.gnupg_home, servant)
    with Keyring(options.gpg, servant, home, seconds) as keyring:
        ring = read_ring(keyring, [], [], trust=True)
    return {"enrolments": {}, "unnamed": _unnamed(ring, set()), "files": []}


def _is_shared(options: Options) -> bool:
    home = options.gnupg_home.replace("%%", "")
    return bool(options.run_as) and "%u" not in home and "%h" not in home


def _read(account: Account, options: Options, servant: Account | None) -> Holder | None:
    """Read an account's record; None if it has none."""
    holder = Holder(account, servant or account, Enrolled("openpgp", ""))
    enrolment = holder.enrolment
    try:
        path = expand_path(options.auth_file, account)
        enrolment.place = readable(path)
        content = _content(path, holder)
        holder.record = parse_record(content, path, readable(account.home))
        check_account(holder.record, path, account)
    except NoRecord:
        return None
    except TrexError as error:
        enrolment.inherited = isinstance(error, OtherAccount)
        enrolment.refuse(str(error))
    return holder


def _content(path: str, holder: Holder) -> bytes:
    """Read a record, once more with all groups where those of the database are not enough."""
    try:
        with acting_as(holder.reader):
            return read_safely(path, holder.reader)
    except FileUnsafe:
        if holder.reader is not holder.account:
            raise
        holder.account = holder.reader = whole(holder.account)
    with acting_as(holder.reader):
        return read_safely(path, holder.reader)


def _read_keyboxes(holders: list[Holder], options: Options, seconds: int) -> None:
    """Have one gpg list the keys of many homes, where these are plain cases.

    It runs as nobody: none of these users may decide what it says of another's keys. Whatever it
    does not list is left to a gpg of that user's.
    """
    try:
        nobody = find_account(NOBODY)
    except UserUnknown:
        return
    plain: list[tuple[Holder, list[Chosen]]] = []
    for holder in holders:
        if holder.record and holder.record.trust and holder.names:
            home = expand_path(options.gnupg_home, holder.account)
            found = find_in_keybox(home, holder.account, holder.names)
            if found is not None:
                plain.append((holder, [as_chosen(block) for block in found]))
    with Keyring(options.gpg, nobody, NO_HOME, seconds) as keyring:
        listed = iter(list_blocks(keyring, [one for _, chosen in plain for one in chosen]))
    for holder, chosen in plain:
        keys = [next(listed) for _ in chosen]
        if all(keys):
            holder.ring = Ring([key for key in keys if key])


def _judge_all(holders: list[Holder], keyring: Keyring, *, shared: bool) -> list[list[str]]:
    """Judge the records that use one keyring; return the keys in it that none of them names."""
    rings = _Rings(holders, keyring, whole=shared)
    used: set[str] = set()
    in_files = _keys_in_files(holders, keyring)
    for holder in holders:
        if holder.record:
            try:
                used |= _judge(holder, holder.record, rings, in_files)
            except TrexError as error:  # about the keyring
                holder.enrolment.refuse(str(error))
    if not shared:
        return []
    try:
        ring = rings.of(trust=not any(one.record and not one.record.trust for one in holders))
    except TrexError:
        return []
    return _unnamed(ring, used)


def _unnamed(ring: Ring, used: set[str]) -> list[list[str]]:
    """Return the keys that nothing uses, but revoked ones: these keep their copies from use."""
    keys = [key for key in ring.keys if key.fingerprint not in used | ring.vouching]
    return [_told(key) for key in keys if key.validity != "r"]


class _Rings:
    """A keyring's listings, made when they are needed: with and without gpg's trust model."""

    def __init__(self, holders: list[Holder], keyring: Keyring, *, whole: bool) -> None:
        self._names = list(dict.fromkeys(name for one in holders for name in one.names))
        self._keyring = keyring
        self._whole = whole
        self._made: dict[bool, Ring | TrexError] = {}
        if holders[0].ring:
            self._made[True] = holders[0].ring

    def of(self, *, trust: bool) -> Ring:
        """Return the keyring. Raises an OpenPGPError or FileUnsafe, each time the same."""
        if trust not in self._made:
            try:
                self._made[trust] = self._list(trust=trust)
            except TrexError as error:
                self._made[trust] = error
        found = self._made[trust]
        if isinstance(found, TrexError):
            raise found
        return found

    def check(self, record: AuthRecord) -> None:
        """Raise why a login by this record would not start gpg: FileUnsafe or an OpenPGPError."""
        check_home(self._contents(), record, self._keyring.home)

    def _contents(self) -> list[str]:
        keyring = self._keyring
        keyring.contents = keyring.contents or list_home(keyring.home, keyring.account)
        return keyring.contents

    def _list(self, *, trust: bool) -> Ring:
        keyring = self._keyring
        # keyboxd's index has only one key for a fingerprint: list all keys.
        every = self._whole or len(self._names) > FEW or KEYBOXD in self._contents()
        return read_ring(keyring, self._names, [] if every else self._names, trust=trust)


def _keys_in_files(
    holders: list[Holder], keyring: Keyring
) -> dict[tuple[str, str], Key | TrexError]:
    """Return the keys in files, by account and path, or why there is none."""
    found: dict[tuple[str, str], Key | TrexError] = {}
    chosen: dict[tuple[str, str], Chosen] = {}
    for holder in holders:
        for name in holder.record.recipients if holder.record else []:
            if is_file(name):
                place = holder.account.name, name
                try:
                    chosen[place] = from_file(name, read_key_file(name, holder.reader))
                except TrexError as error:
                    found[place] = error
    listed = list_blocks(keyring, list(chosen.values()))
    for place, key in zip(chosen, listed, strict=True):
        found[place] = key or KeyUnusable(place[1], ": gpg cannot read it")
    return found


def _judge(
    holder: Holder,
    record: AuthRecord,
    rings: _Rings,
    in_files: dict[tuple[str, str], Key | TrexError],
) -> set[str]:
    """Fill in the keys of a record; return the fingerprints of all that its names stand for."""
    enrolment = holder.enrolment
    used: set[str] = set()
    if holder.names:
        rings.check(record)
    for name in record.recipients:
        if is_file(name):
            found = in_files[holder.account.name, name]
            keys = [] if isinstance(found, TrexError) else [found]
            told = str(found) if isinstance(found, TrexError) else ""
            if isinstance(found, FileUnsafe):  # that is left out of no record
                enrolment.refuse(told)
        else:
            keys, told = rings.of(trust=record.trust).find(name), ""
        used.update(key.fingerprint for key in keys)
        enrolment.keys.append(_held(name, keys, told, trust=record.trust))
    if record.sign_as:
        signing = rings.of(trust=True).find(record.sign_as)
        used.update(key.fingerprint for key in signing)
        try:
            choose_signer(record.sign_as, signing)
        except TrexError as error:
            enrolment.refuse(str(error))
    _conclude(enrolment, record)
    return used


def _held(name: str, keys: list[Key], told: str, *, trust: bool) -> HeldKey:
    key, fault = verdict(name, keys, trust=trust) if not told else (None, None)
    if key is None or fault:
        reason = told or str(fault)
        return HeldKey(key.fingerprint if key else name, _owner(key), 0, reason)
    return HeldKey(key.fingerprint, _owner(key), as_named(name, key).lasts_until)


def _conclude(enrolment: Enrolled, record: AuthRecord) -> None:
    """Set until when the record lets its user in: all its keys have to be valid, or enough."""
    faults = [key.fault for key in enrolment.keys if key.fault]
    usable = [key.until for key in enrolment.keys if not key.fault]
    if record.needed > 1 and len({key.fingerprint for key in enrolment.keys}) < len(enrolment.keys):
        enrolment.refuse("one key is named twice; expected keys of two people")
    if faults and not (record.leaves_out and len(usable) >= record.needed):
        enrolment.refuse("; ".join(faults))
    elif usable and not enrolment.fault:
        enrolment.until = sorted(usable)[-record.needed] if record.leaves_out else min(usable)
    enrolment.needed = record.needed


def _owner(key: Key | None) -> str:
    return cut(one_line(next(iter(key.user_ids), "")), MAX_OWNER) if key else ""


def _told(key: Key) -> list[str]:
    return [key.fingerprint, _owner(key)]
