"""What expires first in a key, and the gpg commands to extend it, where the secret key is.

`--quick-set-expire FINGERPRINT` extends only the primary key. Subkeys expire separately: `'*'`
extends those that have not expired yet, and an expired one needs its own fingerprint.
"""

import time

from trex.openpgp.keylist import DAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.openpgp.keylist import Key

SET_EXPIRE = "gpg --quick-set-expire"
YEAR = 365 * DAY


def what_ends(key: "Key") -> str:
    """Return what expires, in words for the user: the key, or its encryption subkey."""
    return "key" if key.expires <= key.ends else "encryption subkey of the key"


def commands(key: "Key") -> str:
    """Return a shell command that extends all that expires before the new date."""
    now = time.time()
    subkeys = [sub for sub in key.encrypting if sub is not key.subkeys[0]]
    ending = [sub for sub in subkeys if sub.expires <= now + 2 * YEAR and sub.validity != "r"]
    moved = [""] if key.expires <= now + 2 * YEAR else []
    if any(sub.expires > now for sub in ending):
        moved.append(" '*'")
    elif ending and all(sub in ending for sub in subkeys if sub.validity != "r"):
        moved.append(f" {max(ending, key=lambda sub: sub.expires).fingerprint}")
    return " && ".join(f"{SET_EXPIRE} {key.fingerprint} 2y{what}" for what in moved)
