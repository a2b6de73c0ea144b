"""After a successful login: that a key was left out or will soon expire, that codes were used.

It comes after the verdict, so that it does not delay the prompt.
"""

import time

from trex.errors import NotGivenBack, TrexError, one_line
from trex.login.method import expand_path, is_absent
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
    from trex.system.privilege import Account

DAYS = 14
MAX_SECONDS = 3  # a reminder must not delay the user; gpg_timeout= may be shorter


def reminders(options: "Options", gpg: "Gpg", account: "Account") -> str:
    """Return all that there is to tell, "" for nothing. Raises NotGivenBack.

    What fails is left out, and costs nothing else: a file of recovery codes that cannot be used is
    found by `trex doctor`.
    """
    texts = []
    for look in (look_back, look_at_left_out, look_ahead):
        try:
            texts.append(look(options, gpg, account))
        except NotGivenBack:
            raise
        except TrexError:
            continue
    return "\n".join(filter(None, texts))


def look_back(options: "Options", gpg: "Gpg", account: "Account") -> str:
    """Return a text for a user whose recovery codes were used lately, "" for everybody else."""
    path = expand_path(options.recovery_file, account)
    if is_absent(path, gpg.account):
        return ""
    from trex.recovery.notice import after_use

    return after_use(options, account, gpg.account)


def look_at_left_out(options: "Options", gpg: "Gpg", account: "Account") -> str:
    """Return a text for a user of whose keys some were left out, "" for everybody else."""
    told = [_told_of(fault, options, gpg, account.name) for fault in gpg.left_out.values()]
    return "\n".join(told)


def _told_of(fault: "OpenPGPError", options: "Options", gpg: "Gpg", user: str) -> str:
    """Return what to tell of a key that was left out; the command if the user can extend it."""
    from trex.openpgp.errors import KeyExpired  # which most logins do not need

    others = "another key" if len(gpg.chosen) == 1 else f"{len(gpg.chosen)} other keys"
    told = f"Trex: {one_line(str(fault))}. It is left out: you can log in with {others}."
    if not isinstance(fault, KeyExpired) or is_file(fault.key):
        return told
    keys = [key for key in gpg.keys if is_named(key, fault.key)]
    return f"{told}\n{_renewal(keys[0], _enrol_again(options, gpg, user))}" if keys else told


def look_ahead(options: "Options", gpg: "Gpg", account: "Account") -> str:
    """Return a text for the user, "" if all keys of the record are valid for more than DAYS.

    An expired key refuses the login, even if another key is valid, unless the record leaves it out:
    so all are checked. Raises TrexError if gpg fails.
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
    then = "you cannot log in"
    if gpg.leaves_out and len(gpg.chosen) - len(ending) >= gpg.people:
        then = "it is left out"
    return (
        f"Trex: the {what_ends(first)} {first.fingerprint} expires on {day(first.lasts_until)}. "
        f"From then on {then}.\n{_renewal(first, _enrol_again(options, gpg, account.name))}"
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
    from shlex import quote

    central = "".join(
        f" --{name.replace('_', '-')} {quote(getattr(options, name))}"
        for name, value in CENTRAL.items()
        if getattr(options, name) != value
    )
    return (
        "Then give key.asc to whoever administers this machine: "
        f"trex enroll --central{central}{others} --user {quote(user)} --key - < key.asc"
    )
