"""A reminder after a successful login that a key will soon expire.

It comes after the verdict, so that it does not delay the prompt.
"""

import time

from trex.login.options import CENTRAL
from trex.openpgp.keylist import DAY, day, parse_listing
from trex.openpgp.keyring import Keyring
from trex.openpgp.recipients import as_named
from trex.openpgp.record import is_file
from trex.openpgp.renewal import commands, what_ends

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.openpgp.gpg import Gpg
    from trex.openpgp.keylist import Key

DAYS = 14
MAX_SECONDS = 3  # a reminder must not delay the user; gpg_timeout= may be shorter


def look_ahead(options: "Options", gpg: "Gpg", user: str) -> str:
    """Return a text for the user, "" if all keys of the record are valid for more than DAYS.

    An expired key refuses the login, even if another key is valid: so all are checked.
    Raises TrexError if gpg fails.
    """
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
    return _text(first, _enrol_again(options, gpg, user))


def _text(key: "Key", command: str) -> str:
    return (
        f"Trex: the {what_ends(key)} {key.fingerprint} expires on {day(key.lasts_until)}. "
        "From then on you cannot log in.\n"
        f"On your own machine: {commands(key)} && "
        f"gpg --armor --export {key.fingerprint} > key.asc\n"
        f"{command}"
    )


def _enrol_again(options: "Options", gpg: "Gpg", user: str) -> str:
    """Return the command for this machine: for the user, or in central mode for root."""
    if not options.run_as:
        return "Then here: trex enroll --key key.asc"
    central = "".join(
        f" --{name.replace('_', '-')} {getattr(options, name)}"
        for name, value in CENTRAL.items()
        if getattr(options, name) != value
    )
    files = [one.name for one in gpg.chosen if is_file(one.name)]
    key_file = f" --key-file {files[0]}" if files else ""
    return (
        "Then give key.asc to whoever administers this machine: "
        f"trex enroll --central{central}{key_file} --user {user} --key - < key.asc"
    )
