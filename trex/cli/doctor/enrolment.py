"""How a record that refuses a login becomes one that does not: the commands for that."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from trex.cli.delegate import as_user, hint_for
from trex.cli.doctor.remedy import by_hand, is_of_another
from trex.cli.location import words_of
from trex.cli.setup.recordfile import fields_of
from trex.errors import (
    OWNER,
    WRITABLE,
    FileUnsafe,
    GpgTimedOut,
    NoRecord,
    NotStarted,
    OtherAccount,
    RecordError,
    TrexError,
)
from trex.openpgp.errors import (
    KeyExpired,
    KeyNotFound,
    KeyNotTrusted,
    KeyRevoked,
    KeyUnusable,
    NoEncryptionSubkey,
    SamePerson,
    SigningKeyLocked,
    SigningKeyUnusable,
    SubkeyExpired,
)
from trex.openpgp.record import ONE_SUBKEY, is_file
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.errors import OpenPGPError
    from trex.login.options import Options
    from trex.openpgp.record import AuthRecord

EXTEND = (
    "{enroll} --yes --key - < FILE  # where the secret key is: {commands}; then, for FILE: "
    "gpg --armor --export {key}"
)
NEW_KEY = "{enroll} --yes --key - < FILE  # FILE: the user's public key"
OF_TWO = (
    "{enroll} --two-people --fingerprint FPR1 --fingerprint FPR2 --yes --key - < FILE  # FILE: the "
    "keys of two people"
)
FIXES: dict[type[TrexError], str] = {
    OtherAccount: "trex remove{words} --user {user} --yes",
    KeyNotFound: NEW_KEY,
    NoRecord: NEW_KEY,
    RecordError: NEW_KEY,
    KeyExpired: EXTEND,
    SubkeyExpired: EXTEND,
    KeyRevoked: "{enroll} --yes --key - < FILE  # FILE: a new key, as trex keygen makes one",
    KeyNotTrusted: "{enroll} --trust --yes  # the record then vouches for its keys",
    NoEncryptionSubkey: (
        "{enroll} --yes --key - < FILE  # where the secret key is: gpg --quick-add-key {key} "
        "cv25519 encr; then, for FILE: gpg --armor --export {key}"
    ),
    SamePerson: OF_TWO,
    SigningKeyLocked: "{as_reader}gpg --homedir {home} --passwd {key}  # an empty new passphrase",
    SigningKeyUnusable: "{enroll} --sign-as KEY --yes  # KEY: one that can sign, or nosign",
    NotStarted: "apt install gnupg  # or correct gpg= in the PAM line",
    GpgTimedOut: "# raise gpg_timeout=; how long does gpg --list-keys take, as {reader}?",
}
ANEW = KeyNotFound, RecordError, KeyRevoked  # another key than before: two people need two


def extra_lines(content: str, line: int) -> list[int]:
    """Return the numbers of lines behind the record's that look like records, too."""
    return [
        number
        for number, text in enumerate(content.split("\n"), start=1)
        if number > line and text.strip() and not text.lstrip().startswith("#")
    ]


def evened(location: Location, extra: list[int]) -> str:
    """Return how a record loses the part that has no effect."""
    if not extra:
        return f"{enroll_again(location)} --page none --yes  # or the right mode"
    script = ";".join(f"{number}s/^/# /" for number in extra)
    command = f"sed -i {shlex.quote(script)} {shlex.quote(location.shown)}"
    return as_user(location.writer.name, command)


def fix_for(location: Location, error: TrexError, content: bytes) -> str:
    """Return how a record that raises `error` becomes one that a login can use."""
    if isinstance(error, FileUnsafe):
        return _safe(location, error)
    key = error.key if isinstance(error, KeyUnusable) else ""
    fix = FIXES.get(type(error), NEW_KEY)
    if isinstance(error, ANEW) and needed_by(location, content) > 1:
        fix = OF_TWO
    return fix.format(
        words=words_of(location.options), user=shlex.quote(location.user.name),
        enroll=enroll_again(location), reader=location.reader.name, key=key,
        commands=error.commands if isinstance(error, KeyExpired) else "",
        as_reader=as_user(location.reader.name, ""),
        home=shlex.quote(readable(location.gnupg_home)),
    )  # fmt: skip


def _safe(location: Location, error: FileUnsafe) -> str:
    """Return how a file or directory becomes one that a login reads."""
    if error.kind in (OWNER, WRITABLE):
        return hint_for(error)
    if error.path != location.shown:
        return by_hand(hint_for(error))
    path = shlex.quote(error.path)
    if is_of_another(location.record, location.writer.uid):
        return f"chown -h {shlex.quote(location.writer.name)}: {path}"
    away = as_user(location.writer.name, f"mv -T {path} {path}.old")
    return f"{away}; {NEW_KEY.format(enroll=enroll_again(location))}"


def needed_by(location: Location, content: bytes) -> int:
    """Return how many people a record asks for, however wrong it is."""
    return fields_of(content, location.record, readable(location.user.home)).needed


def enroll_again(location: Location) -> str:
    """Return the command that writes this record anew; what it is to change follows."""
    return enrolling(location.options, location.user.name)


def enrolling(options: Options, user: str) -> str:
    """Return the command for the record that a PAM line has for the user."""
    return f"trex enroll{words_of(options)} --user {shlex.quote(user)}"


def extended(location: Location, commands: str, key: str) -> str:
    """Return how a key lasts longer: `commands` where its secret part is, and enrolled again."""
    return EXTEND.format(commands=commands, enroll=enroll_again(location), key=key)


def named_by_key(location: Location, record: AuthRecord, address: str, key: str) -> str:
    """Return how a record names a key in the place of an address; its other keys stay."""
    if address not in record.recipients:
        return f"{enroll_again(location)} --sign-as {key} --yes"
    names = [key if name == address else name for name in record.recipients]
    if not all(map(_is_plain, names)):
        return by_hand(f"write {key} in the place of {address} in {location.shown}")
    fingerprints = " ".join(f"--fingerprint {name}" for name in names)
    return f"{enroll_again(location)} --from-keyring {fingerprints} --yes"


def _is_plain(name: str) -> bool:
    """Tell whether a record's name is the fingerprint of a primary key."""
    return not is_file(name) and "@" not in name and ONE_SUBKEY not in name


def without(location: Location, why: OpenPGPError, left: list[str]) -> str:
    """Return how a key that is left out can answer again, or leaves the record to the others."""
    if isinstance(why, KeyExpired):
        again = f"{enroll_again(location)} --add"
        return EXTEND.format(commands=why.commands, enroll=again, key=why.key)
    key = why.key if isinstance(why, KeyUnusable) and not isinstance(why, KeyNotFound) else ""
    if not key.isalnum() or not all(map(_is_plain, left)):
        return by_hand(f"take it out of {location.shown}")
    user = shlex.quote(location.user.name)
    return f"trex revoke{words_of(location.options)} --user {user} {key} --yes"
