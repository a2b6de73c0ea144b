"""Choose among the keys that were found: show them, check them, ask."""

from __future__ import annotations

import time

from trex.cli.errors import CommandError
from trex.cli.setup.questions import ask_user
from trex.cli.terminal import say
from trex.errors import one_line
from trex.openpgp.errors import (
    KeyExpired,
    KeyRevoked,
    KeyUnusable,
    NoEncryptionSubkey,
    SubkeyExpired,
)
from trex.openpgp.keylist import DAY, NEVER, Key, day, parse_listing
from trex.openpgp.recipients import fault_of
from trex.openpgp.renewal import commands

MAX_USER_ID = 200  # bytes shown
MOST_NAMED = 5  # of a keyring's keys, in a hint
MEANINGS = {"e": "encrypt", "s": "sign", "c": "certify", "a": "authenticate"}
HINTS = {
    KeyExpired: "{commands}, where the secret key is; export it again",
    SubkeyExpired: "{commands}, where the secret key is; export it again",
    KeyRevoked: "a key stays revoked: make another",
    NoEncryptionSubkey: "gpg --quick-add-key {key} cv25519 encr, where the secret key is",
}


class RevokedKey(CommandError):
    """A key that was chosen was revoked."""


def choose_keys(
    listing: str, wanted: tuple[str, ...], *, silently: bool, shared: bool
) -> list[Key]:
    """Return the keys to use: those named in `wanted`, the only one, or the user's choice.

    In a shared keyring the only key may be another user's, and is not used silently.
    Raises CommandError for a key that cannot be used, and where the choice stays open.
    """
    keys = parse_listing(listing)
    if wanted:
        chosen = [_named(keys, fingerprint) for fingerprint in wanted]
    else:
        if keys and shared and silently:
            raise CommandError("the keyring may hold other users' keys: which one?", _list_of(keys))
        usable = [key for key in keys if key.lasts_until]
        if len(keys) == 1 or not usable:
            chosen = keys[:1]
        else:
            chosen = usable if len(usable) == 1 else [_asked(usable, silently=silently)]
    if not chosen:
        raise CommandError("the keyring holds no key", "the same command with --key FILE")
    for key in chosen:
        if not key.lasts_until:
            raise unusable(key)
    return chosen


def unusable(key: Key) -> CommandError:
    """Return the error for a key that cannot be encrypted to, with a hint."""
    fault = fault_of(key.fingerprint, key) or KeyUnusable(key.fingerprint)
    hint = HINTS.get(type(fault), "see gpg --list-keys")
    kind = RevokedKey if isinstance(fault, KeyRevoked) else CommandError
    return kind(str(fault), hint.format(commands=commands(key), key=key.fingerprint))


def describe_key(key: Key) -> str:
    """Return lines by which a person recognizes a key; safe for a terminal."""
    letters = [letter for letter in MEANINGS if letter.upper() in key.capabilities]
    lines = [("Fingerprint", key.fingerprint)]
    lines += [("User id", shown_user_id(name)) for name in key.user_ids]
    lines += [
        ("Kind", ", ".join(dict.fromkeys([key.kind, *(sub.kind for sub in key.encrypting)]))),
        ("It can", ", ".join(MEANINGS[letter] for letter in letters) or "nothing"),
        ("Made", day(key.created)),
        ("Expires", _until(key)),
    ]
    return "".join(f"  {name:<12} {text}\n" for name, text in lines).rstrip("\n")


def shown_user_id(text: str) -> str:
    """Return a user id, which anybody may have written, made safe for a terminal."""
    return one_line(text, MAX_USER_ID)


def in_days(moment: float) -> str:
    """Return the days until `moment`, seconds since the epoch, in words."""
    days = int((moment - time.time()) // DAY)
    return "today" if days == 0 else f"in {days} day{'s' * (days != 1)}"


def _until(key: Key) -> str:
    if not key.lasts_until:
        return "it cannot be used"
    if key.lasts_until == NEVER:
        return "never"
    return f"{day(key.lasts_until)}, {in_days(key.lasts_until)}"


def _named(keys: list[Key], fingerprint: str) -> Key:
    plain = fingerprint.replace(" ", "").removeprefix("0x").upper()
    for key in keys:
        if key.fingerprint == plain:
            return key
    raise CommandError(f"{one_line(fingerprint)}: no such key", _list_of(keys))


def _asked(keys: list[Key], *, silently: bool) -> Key:
    if silently:
        raise CommandError("there are several keys: which one?", _list_of(keys))
    for number, key in enumerate(keys, start=1):
        say(f"Key {number}\n{describe_key(key)}\n")
    answer = ask_user(f"Which key, 1 to {len(keys)}? ")
    if not (answer.isascii() and answer.isdecimal() and 1 <= int(answer[:4]) <= len(keys)):
        raise CommandError(
            f"expected a number from 1 to {len(keys)}, found {one_line(answer) or 'nothing'}"
        )
    return keys[int(answer) - 1]


def _list_of(keys: list[Key]) -> str:
    named = ", ".join(key.fingerprint for key in keys[:MOST_NAMED])
    more = len(keys) - MOST_NAMED
    return f"--fingerprint with one of: {named}" + (f", and {more} more" if more > 0 else "")
