"""Why gpg did not decrypt: from its status lines, or else its own words."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from trex.cli.client.gpg import PATIENCE
from trex.cli.client.words import is_key_id
from trex.cli.errors import CannotDecrypt, Refused
from trex.errors import MAX_PATH, cut

if TYPE_CHECKING:
    from trex.cli.client.gpg import Decrypted

REASONS = {  # codes of libgpg-error
    11: "the passphrase was wrong",
    62: "nobody typed the passphrase in time",
    85: "the agent has no pinentry to ask for the passphrase with",
    86: "the agent's pinentry failed",
    87: "the PIN was wrong",
    99: "it was cancelled",
    112: "there is no card in the reader",
    198: "it was cancelled",
    0x8001: "the agent's pinentry may not use the terminal: after su it belongs to another account",
    0x8066: "the agent's pinentry has no terminal to ask for the passphrase at",
}
CODE, NO_SECRET_KEY = 0xFFFF, 17
NUMBER = re.compile(r"[0-9]{1,10}")
LATE = f"not decrypted: no answer within {PATIENCE // 60} minutes"
ENDED = "gpg was stopped: this message takes more work than a challenge"


def why_not(opened: Decrypted) -> CannotDecrypt | Refused:
    """Return the error that says why a message was not decrypted."""
    if opened.ended:
        return Refused(LATE if opened.returncode == -signal.SIGKILL else ENDED)
    said = opened.said
    codes = [int(words[1]) & CODE for words in said.get("ERROR", [])
             if len(words) > 1 and NUMBER.fullmatch(words[1])]  # fmt: skip
    for code in codes:
        if code in REASONS:
            return Refused(f"not decrypted: {REASONS[code]}")
    # GnuPG 2.4 reports this also for a key that is available and could not be used.
    if "NO_SECKEY" in said and set(codes) <= {NO_SECRET_KEY}:
        ids = [words[0] for words in said["NO_SECKEY"] if words and is_key_id(words[0])]
        keys = cut(", ".join(dict.fromkeys(ids)), MAX_PATH)
        return CannotDecrypt(
            f"the secret key {keys} is not here{opened.words}",
            "gpg --list-secret-keys --keyid-format long",
        )
    return Refused(f"not decrypted{opened.words}", "is the message complete? is gpg-agent running?")
