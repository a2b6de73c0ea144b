"""The content of a decrypted message: its text, and who signed it. Each key is tried alone.

Anybody can add another's public key to their own as a subkey, and gpg then uses whichever of the
two it finds first in a keyring. To sign, such a subkey would need a signature by itself (0x19 in
RFC 4880, 5.2.1), which only its owner can make; but gpg then stops looking. So the keys that may
have signed are exported from the user's keyring, and each is put into a keyring of its own.
"""

from __future__ import annotations

import os

from trex.cli.client.child import RunningProgram
from trex.cli.client.gpg import UserGpg
from trex.cli.client.literal import read_literal
from trex.cli.client.words import is_key_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.cli.client.gpg import Decrypted, Status
    from trex.openpgp.keyblock import Block

# No configuration, no agent, no network: the message is already decrypted.
ALONE = [
    "--no-options", "--trust-model", "always", "--no-autostart", "--pinentry-mode", "error",
    "--no-auto-key-retrieve", "--no-auto-key-import", "--disable-dirmngr",
]  # fmt: skip
SHORT = ["--max-output", "64"]
STILL_ENCRYPTED = {"ENC_TO", "NEED_PASSPHRASE_SYM"}  # a message within a message
SECONDS = 20  # it takes some hundredths of a second
# Codes of libgpg-error in ERRSIG: no public key, or (GnuPG 2.2) one that is not for signing.
NO_PUBLIC_KEY, WRONG_KEY_USAGE = "9", "125"


class Lookup:
    """gpg with a keyring of one key, in a directory of its own."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._ring = os.path.join(home, "ring.gpg")
        ring = ["--homedir", home, "--no-default-keyring", "--keyring", self._ring]
        self._gpg = UserGpg(*ring, *ALONE)

    def read(self, content: bytes, key: bytes) -> Decrypted:
        """Read the decrypted content, and check its signature with `key` alone."""
        with open(self._ring, "wb") as ring:
            ring.write(key)
        result = self._gpg.run_decrypt(content, SHORT, SECONDS)
        if result.said.keys() & STILL_ENCRYPTED:
            self._forget_sockets()
        return result

    def _forget_sockets(self) -> None:
        """Remove the directory below /run/user that gpg made when it looked for an agent."""
        gpgconf = os.path.join(os.path.dirname(self._gpg.program), "gpgconf")
        try:
            RunningProgram([gpgconf, "--homedir", self._home, "--remove-socketdir"]).finish(SECONDS)
        except OSError:
            return


def read_signed(content: bytes, signers: tuple[Block, ...] = ()) -> Decrypted:
    """Return text and status lines of `content`, which are decrypted packets.

    The status lines name the key that signed it, of the user's keyring or of `signers`; one that
    only has the signing key as a subkey does not count.
    """
    unsigned = read_literal(content)
    if unsigned:
        return unsigned
    from tempfile import TemporaryDirectory  # 8 ms, and most challenges are not signed

    with TemporaryDirectory(prefix="trex-") as home:
        lookup = Lookup(home)
        found = lookup.read(content, b"")
        for key in (*_keys_for(found.said), *signers):
            if found.ended:
                break
            result = lookup.read(content, key.raw())
            if "GOODSIG" in result.said:
                return result
            if not _without_key(result.said):
                found = result
        return found


def _keys_for(said: Status) -> list[Block]:
    """Return the keys in the user's keyring that have the id of the missing one."""
    missing = [words[0] for words in said.get("ERRSIG", []) if words and is_key_id(words[0])]
    if len(missing) != 1:
        return []
    from trex.openpgp.keyblock import Malformed, blocks  # only if the signing key is here

    try:
        return blocks(UserGpg().export(f"0x{missing[0]}"))
    except Malformed:
        return []


def _without_key(said: Status) -> bool:
    """Return whether gpg had no key that could have made the signature."""
    codes = [words[5] for words in said.get("ERRSIG", []) if len(words) > 5]  # noqa: PLR2004
    return bool(codes) and set(codes) <= {NO_PUBLIC_KEY, WRONG_KEY_USAGE}
