"""What of a key ends first, and the commands that move it: where the secret key is, with gpg(1).

`--quick-set-expire FINGERPRINT` moves the primary key alone. Subkeys end by themselves: `'*'` moves
those that have not ended yet, and one that has is moved by its own fingerprint.
"""

import time

from trex.openpgp.keylist import DAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.openpgp.keylist import Key

SET_EXPIRE = "gpg --quick-set-expire"
YEAR = 365 * DAY


def what_ends(key: "Key") -> str:
    """Return what the user has to hear of: the key, or its encryption subkey."""
    return "key" if key.expires <= key.ends else "encryption subkey of the key"


def commands(key: "Key") -> str:
    """Return a line for a shell that moves all that has ended or ends before the new end."""
    now = time.time()
    subkeys = [sub for sub in key.encrypting if sub is not key.subkeys[0]]
    ending = [sub for sub in subkeys if sub.expires <= now + 2 * YEAR and sub.validity != "r"]
    moved = [""] if key.expires <= now + 2 * YEAR else []
    if any(sub.expires > now for sub in ending):
        moved.append(" '*'")
    elif ending and all(sub in ending for sub in subkeys if sub.validity != "r"):
        moved.append(f" {max(ending, key=lambda sub: sub.expires).fingerprint}")
    return " && ".join(f"{SET_EXPIRE} {key.fingerprint} 2y{what}" for what in moved)
