"""A reminder after a successful login that a key was left out, or will soon expire.

It comes after the verdict, so that it does not delay the prompt.
"""

import time

from trex.errors import TrexError, one_line
from trex.login.options import CENTRAL
from trex.openpgp.keylist import DAY, day, parse_listing
from trex.openpgp.keyring import Keyring
from trex.openpgp.recipients import as_named, is_named
from trex.openpgp.record import is_file
from trex.openpgp.renewal import commands, what_ends

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.errors import OpenPGPError
    from trex.login.options import Options
    from trex.openpgp.gpg import Gpg
    from trex.openpgp.keylist import Key

DAYS = 14
MAX_SECONDS = 3  # a reminder must not delay the user; gpg_timeout= may be shorter


def look_ahead(options: "Options", gpg: "Gpg", user: str) -> str:
    """Return a text for the user, "" if all keys of the record are valid for more than DAYS.

    An expired key refuses the login, even if another key is valid, unless the record leaves it out:
    so all are checked. Raises TrexError if gpg fails and no key was left out.
    """
    left_out = [_told_of(fault, options, gpg, user) for fault in gpg.left_out.values()]
    try:
        ending = _ending_soon(options, gpg, user)
    except TrexError:
        if not left_out:
            raise
        ending = ""
    return "\n".join(filter(None, [*left_out, ending]))


def _told_of(fault: "OpenPGPError", options: "Options", gpg: "Gpg", user: str) -> str:
    """Return what to tell of a key that was left out; the command if the user can extend it."""
    from trex.openpgp.errors import KeyExpired  # which most logins do not need

    others = "another key" if len(gpg.chosen) == 1 else f"{len(gpg.chosen)} other keys"
    told = f"Trex: {one_line(str(fault))}. It is left out: you can log in with {others}."
    if not isinstance(fault, KeyExpired) or is_file(fault.key):
        return told
    keys = [key for key in gpg.keys if is_named(key, fault.key)]
    return f"{told}\n{_renewal(keys[0], _enrol_again(options, gpg, user))}" if keys else told


def _ending_soon(options: "Options", gpg: "Gpg", user: str) -> str:
    soon = time.time() + DAYS * DAY
    keys = {key.fingerprint: key for key in gpg.keys}
    with Keyring(options.gpg, gpg.account, gpg.home, min(options.gpg_timeout, MAX_SECONDS)) as new:
        for one in gpg.chosen:
            if one.fingerprint not in keys:  # a key file was not listed before
                keys |= {key.fingerprint: key for key in parse_listing(new.show_block(one.block))}
    named = [
        as_named(one.name, keys[one.fingerprint]) for one in gpg.chosen if one.fingerprint in keys
    ]
    ending = [key for key in named if key.lasts_until and key.lasts_until < soon]
    if not ending:
        return ""
    first = min(ending, key=lambda key: key.lasts_until)
    then = "you cannot log in"
    if gpg.leaves_out and len(ending) < len(gpg.chosen):
        then = "it is left out"
    return (
        f"Trex: the {what_ends(first)} {first.fingerprint} expires on {day(first.lasts_until)}. "
        f"From then on {then}.\n{_renewal(first, _enrol_again(options, gpg, user))}"
    )


def _renewal(key: "Key", command: str) -> str:
    return (
        f"On your own machine: {commands(key)} && "
        f"gpg --armor --export {key.fingerprint} > key.asc\n"
        f"{command}"
    )


def _enrol_again(options: "Options", gpg: "Gpg", user: str) -> str:
    """Return the command for this machine: for the user, or in central mode for root."""
    others = " --add" if len(gpg.chosen) + len(gpg.left_out) > 1 else ""
    if not options.run_as:
        return f"Then here: trex enroll{others} --key key.asc"
    central = "".join(
        f" --{name.replace('_', '-')} {getattr(options, name)}"
        for name, value in CENTRAL.items()
        if getattr(options, name) != value
    )
    files = [one.name for one in gpg.chosen if is_file(one.name)]
    key_file = f" --key-file {files[0]}" if files else ""
    return (
        "Then give key.asc to whoever administers this machine: "
        f"trex enroll --central{central}{key_file}{others} --user {user} --key - < key.asc"
    )
