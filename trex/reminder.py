"""A word to a user who was let in: the key will soon expire, and with it the next login.

Asked after the verdict, of gpg's listing; it costs the way to the prompt nothing.
"""

import time

from trex.keylist import day, parse_listing
from trex.openpgp import Keyring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.authfile import AuthRecord
    from trex.options import Options
    from trex.privilege import Account

DAYS = 14
MAX_SECONDS = 3  # who is let in should not wait for a courtesy; gpg_timeout= may be shorter


def look_ahead(options: "Options", reader: "Account", home: str, record: "AuthRecord") -> str:
    """Return a text for the user, "" if all keys of the record last for longer than DAYS.

    One key that has expired refuses the login, even if another would do: so all are looked at.
    Raises TrexError where gpg cannot say.
    """
    soon = time.time() + DAYS * 24 * 3600
    ends = []
    seconds = min(options.gpg_timeout, MAX_SECONDS)
    with Keyring(options.gpg, reader, home, seconds) as keyring:
        for name in record.recipients:
            keys = parse_listing(keyring.list_key(name))
            ends += [(key.lasts_until, key.fingerprint) for key in keys if key.lasts_until]
    return _text(*min(ends)) if ends and min(ends)[0] < soon else ""


def _text(until: float, fingerprint: str) -> str:
    return (
        f"Trex: the key {fingerprint} expires on {day(until)}. From then on you cannot log in.\n"
        f"On your own machine: gpg --quick-set-expire {fingerprint} 2y\n"
        "Export it again, and here: trex enroll --key FILE"
    )
