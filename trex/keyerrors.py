"""Why a key that the record names cannot be used: a branch of the tree in `trex.errors`."""

from trex.errors import OpenPGPError


class KeyUnusable(OpenPGPError):
    """A key that the record names cannot be used; `key` is the name it has there."""

    reason = "cannot be used"

    def __init__(self, key: str, detail: str = "") -> None:
        super().__init__(f"the key {key} {self.reason}{detail}")
        self.key = key
        self.detail = detail


class KeyNotFound(KeyUnusable):
    """The key is not in the keyring."""

    reason = "is not in the keyring"


class KeyExpired(KeyUnusable):
    """The key, or its last subkey for encryption, has expired."""

    reason = "has expired"


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
