"""A word to a user who was let in: the key will soon expire, and with it the next login.

Told after the verdict: it costs the way to the prompt nothing.
"""

import time

from trex.keylist import NEVER, day, parse_listing
from trex.keyring import Keyring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.openpgp import Gpg
    from trex.options import Options

DAYS = 14
MAX_SECONDS = 3  # who is let in should not wait for a courtesy; gpg_timeout= may be shorter


def look_ahead(options: "Options", gpg: "Gpg") -> str:
    """Return a text for the user, "" if all keys of the record last for longer than DAYS.

    One key that has expired refuses the login, even if another would do: so all are looked at.
    Raises TrexError where gpg cannot say.
    """
    soon = time.time() + DAYS * 24 * 3600
    keys = {key.fingerprint: key for key in gpg.keys}
    with Keyring(options.gpg, gpg.account, gpg.home, min(options.gpg_timeout, MAX_SECONDS)) as new:
        for one in gpg.chosen:
            if one.fingerprint not in keys:  # one that a file holds was not listed yet
                keys |= {key.fingerprint: key for key in parse_listing(new.show_block(one.block))}
    ends = [(keys[one.fingerprint].lasts_until, one.fingerprint)
            for one in gpg.chosen if one.fingerprint in keys]  # fmt: skip
    until, fingerprint = min(((end, which) for end, which in ends if end), default=(NEVER, ""))
    return _text(until, fingerprint) if until < soon else ""


def _text(until: float, fingerprint: str) -> str:
    return (
        f"Trex: the key {fingerprint} expires on {day(until)}. From then on you cannot log in.\n"
        f"On your own machine: gpg --quick-set-expire {fingerprint} 2y\n"
        "Export it again, and here: trex enroll --key FILE"
    )
