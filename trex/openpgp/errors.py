"""Why a key that the record names cannot be used: a branch of the tree in `trex.errors`."""

from trex.errors import MAX_PLACE, OpenPGPError, cut


class KeyUnusable(OpenPGPError):
    """A key that the record names cannot be used; `key` is the name it has there."""

    reason = "cannot be used"

    def __init__(self, key: str, detail: str = "") -> None:
        super().__init__(f"the key {cut(key, MAX_PLACE)} {self.reason}{cut(detail, 2 * MAX_PLACE)}")
        self.key = key
        self.detail = detail


class KeyNotFound(KeyUnusable):
    """The key is not in the keyring."""

    reason = "is not in the keyring"


class KeyExpired(KeyUnusable):
    """The key has expired; `commands` move its end, where the secret key is."""

    reason = "has expired"

    def __init__(self, key: str, detail: str = "", commands: str = "") -> None:
        super().__init__(key, detail)
        self.commands = commands


class SubkeyExpired(KeyExpired):
    """The key is in order, but its last subkey for encryption has expired."""

    reason = "cannot be used: its encryption subkey has expired"


class UserIdRevoked(KeyUnusable):
    """The record names an address whose user id was revoked; the key itself was not."""

    reason = "cannot be used: the user id with that address was revoked"


class IsSubkey(KeyUnusable):
    """The record has a subkey's fingerprint in the place of a key's; `primary` is its key's."""

    def __init__(self, key: str, primary: str) -> None:
        super().__init__(
            key,
            f": it is a subkey; expected {primary} for its key, or {key}! for this subkey alone",
        )
        self.primary = primary


class KeyRevoked(KeyUnusable):
    """The key, or its last subkey for encryption, was revoked."""

    reason = "was revoked"


class KeyNotTrusted(KeyUnusable):
    """The record says `notrust` and gpg's trust model does not vouch for the key."""

    reason = "is not trusted by gpg's trust model"


class NoEncryptionSubkey(KeyUnusable):
    """The key is in order but has nothing to encrypt to."""

    reason = "has no subkey for encryption"


class SigningKeyUnusable(KeyUnusable):
    """The key that should sign is absent, expired, revoked or has no secret part."""

    reason = "cannot sign"


class SigningKeyLocked(KeyUnusable):
    """The key that should sign wants a passphrase, and nobody is there to type it."""

    reason = "wants a passphrase, which nobody can type at a login"


class WrongRecipients(OpenPGPError):
    """Others could answer gpg's message than the record says; `found` is what gpg made."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"gpg made {cut(found, MAX_PLACE)}; expected one for the record's keys alone"
        )
        self.found = found


class WrongSigner(OpenPGPError):
    """gpg signed with another key than the record says; `found` is its fingerprint."""

    def __init__(self, found: str) -> None:
        super().__init__(f"gpg signed as {cut(found, MAX_PLACE)}; expected the record's key")
        self.found = found
