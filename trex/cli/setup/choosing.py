"""Which of the keys that were found is meant: shown, judged, asked."""

from __future__ import annotations

import time

from trex.cli.setup.questions import ask
from trex.cli.terminal import CommandError, say
from trex.login.audit import one_line
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

MAX_USER_ID = 200  # bytes of it that are shown
MEANINGS = {"e": "encrypt", "s": "sign", "c": "certify", "a": "authenticate"}
HINTS = {
    KeyExpired: "{commands}, where the secret key is; export it again",
    SubkeyExpired: "{commands}, where the secret key is; export it again",
    KeyRevoked: "a revoked key stays so: make another",
    NoEncryptionSubkey: "gpg --quick-add-key {key} cv25519 encr, where the secret key is",
}


def choose(listing: str, wanted: tuple[str, ...], *, silently: bool, shared: bool) -> list[Key]:
    """Return the keys that are meant: those named by `wanted`, the only one, or the asked one.

    Where users share a keyring the only one may be another's, and is not taken silently.
    Raises CommandError for one that cannot be used, and where it stays open which is meant.
    """
    keys = parse_listing(listing)
    if wanted:
        chosen = [_named(keys, fingerprint) for fingerprint in wanted]
    else:
        if keys and shared and silently:
            raise CommandError("other users' keys may be here; which is meant?", _list_of(keys))
        usable = [key for key in keys if key.lasts_until]
        if len(keys) == 1 or not usable:
            chosen = keys[:1]
        else:
            chosen = usable if len(usable) == 1 else [_asked(usable, silently=silently)]
    if not chosen:
        raise CommandError("there is no key in this keyring", "trex enroll --key FILE")
    for key in chosen:
        if not key.lasts_until:
            raise unusable(key)
    return chosen


def unusable(key: Key) -> CommandError:
    """Say why a key cannot be encrypted to, and what can be done."""
    fault = fault_of(key.fingerprint, key) or KeyUnusable(key.fingerprint)
    hint = HINTS.get(type(fault), "gpg --list-keys says more")
    return CommandError(str(fault), hint.format(commands=commands(key), key=key.fingerprint))


def describe(key: Key) -> str:
    """Return what a person needs to recognize a key, in lines; nothing in it steers a terminal."""
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
    """Return a user id, which whoever made the key wrote, fit for a terminal."""
    return one_line(text, MAX_USER_ID)


def in_days(moment: float) -> str:
    """Return how far away a moment is."""
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
    raise CommandError(f"{one_line(fingerprint)}: there is no such key here", _list_of(keys))


def _asked(keys: list[Key], *, silently: bool) -> Key:
    if silently:
        raise CommandError("there are several keys; which is meant?", _list_of(keys))
    for number, key in enumerate(keys, start=1):
        say(f"Key {number}\n{describe(key)}\n")
    answer = ask(f"Which key, 1 to {len(keys)}? ")
    if not (answer.isascii() and answer.isdecimal() and 1 <= int(answer[:4]) <= len(keys)):
        raise CommandError(
            f"{one_line(answer) or 'nothing'}: a number from 1 to {len(keys)} is meant"
        )
    return keys[int(answer) - 1]


def _list_of(keys: list[Key]) -> str:
    return "--fingerprint with one of: " + ", ".join(key.fingerprint for key in keys)
