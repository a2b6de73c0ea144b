"""Errors about a key that the record names: a branch of the tree in `trex.errors`."""

from trex.errors import MAX_PATH, OpenPGPError, cut


class KeyUnusable(OpenPGPError):
    """A key that the record names cannot be used; `key` is its name in the record."""

    reason = "cannot be used"

    def __init__(self, key: str, detail: str = "") -> None:
        super().__init__(f"the key {cut(key, MAX_PATH)} {self.reason}{cut(detail, 2 * MAX_PATH)}")
        self.key = key
        self.detail = detail


class KeyNotFound(KeyUnusable):
    """The key is not in the keyring."""

    reason = "is not in the keyring"


class KeyExpired(KeyUnusable):
    """The key has expired; `commands` extend it, on the machine with the secret key."""

    reason = "has expired"

    def __init__(self, key: str, detail: str = "", commands: str = "") -> None:
        super().__init__(key, detail)
        self.commands = commands


class SubkeyExpired(KeyExpired):
    """The key is valid, but its last subkey for encryption has expired."""

    reason = "cannot be used: its encryption subkey has expired"


class UserIdRevoked(KeyUnusable):
    """The record names an address whose user id was revoked, though not the key itself."""

    reason = "cannot be used: the user id with that address was revoked"


class IsSubkey(KeyUnusable):
    """The record has the fingerprint of a subkey; `primary` is that of its primary key."""

    def __init__(self, key: str, primary: str) -> None:
        super().__init__(
            key,
            f": it is a subkey; expected {primary} for its key, or {key}! for this subkey alone",
        )
        self.primary = primary


class KeyRevoked(KeyUnusable):
    """The key, or its last subkey for encryption, was revoked."""

    reason = "was revoked"


class KeyEnded(KeyUnusable):
    """The key no longer counts: a challenge was made for it, and was answered."""

    reason = "was revoked, expired or left the record while its prompt was open"


class AsksForTwo(OpenPGPError):
    """The record asks for two people by now; one was asked. `path` is the record's."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{cut(path, MAX_PATH)}: asks for two people since its prompt, which asked one"
        )
        self.path = path


class SamePerson(KeyUnusable):
    """A record that asks for two people names one key twice; `other` is its other name there."""

    reason = "names one person"

    def __init__(self, key: str, other: str) -> None:
        super().__init__(
            key, f": it is that of {cut(other, MAX_PATH)}, too; expected keys of two people"
        )
        self.other = other


class KeyNotTrusted(KeyUnusable):
    """The record says `notrust`, and gpg's trust model does not vouch for the key."""

    reason = "is not trusted by gpg's trust model"


class NoEncryptionSubkey(KeyUnusable):
    """The key is valid, but has no subkey for encryption."""

    reason = "has no subkey for encryption"


class SigningKeyUnusable(KeyUnusable):
    """The signing key is missing, expired, revoked or without its secret part."""

    reason = "cannot sign"


class SigningKeyLocked(KeyUnusable):
    """The signing key needs a passphrase, and nobody can type it at a login."""

    reason = "needs a passphrase, which nobody can type at a login"


class WrongRecipients(OpenPGPError):
    """gpg's message is not for the record's keys alone; `found` is what gpg made."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"gpg made {cut(found, MAX_PATH)}; expected one for the record's keys alone"
        )
        self.found = found


class WrongSigner(OpenPGPError):
    """gpg signed with another key than the record's; `found` is its fingerprint."""

    def __init__(self, found: str) -> None:
        super().__init__(f"gpg signed as {cut(found, MAX_PATH)}; expected the record's key")
        self.found = found
