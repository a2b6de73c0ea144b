"""Why gpg made no message: its status lines, and where they are too vague a listing of the key.

Runs only where a login has failed already. Colon listings: doc/DETAILS in GnuPG's source.
"""

import time

from trex.errors import GpgFailed, OpenPGPError
from trex.keyerrors import (
    KeyExpired,
    KeyNotFound,
    KeyNotTrusted,
    KeyRevoked,
    KeyUnusable,
    NoEncryptionSubkey,
    SigningKeyLocked,
    SigningKeyUnusable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.authfile import AuthRecord
    from trex.openpgp import Gpg, Status

INV_RECP_NOT_TRUSTED = "10"
# Low 16 bits of a FAILURE line's code, from libgpg-error: BAD_PASSPHRASE, NO_PIN_ENTRY, CANCELED,
# NO_PASSPHRASE, FULLY_CANCELED.
WANTED_PASSPHRASE = (11, 85, 99, 177, 198)
VALIDITY, CREATION, EXPIRY, CAPABILITIES = 1, 5, 6, 11  # fields of a colon listing
REVOKED, EXPIRED = "r", "e"


def diagnose(status: "Status", record: "AuthRecord", gpg: "Gpg") -> OpenPGPError:
    """Return the error that says why."""
    for key in record.recipients:
        for code, *_ in _complaints(status, "INV_RECP", gpg.user_id(key)):
            if code == INV_RECP_NOT_TRUSTED:
                return KeyNotTrusted(key, "; gpg --check-trustdb may bring it up to date")
            return examine(key, gpg.list_key(key))
    if record.sign_as and _complaints(status, "INV_SGNR", gpg.user_id(record.sign_as)):
        listing = gpg.list_key(record.sign_as)
        return SigningKeyUnusable(record.sign_as, _signing_detail(record.sign_as, listing))
    numbers = [words[1] for words in status.get("FAILURE", []) if words[1:]]
    codes = [int(number) & 0xFFFF for number in numbers if _is_number(number)]
    if record.sign_as and any(code in WANTED_PASSPHRASE for code in codes):
        return SigningKeyLocked(record.sign_as)
    return GpgFailed(f"gpg made no message (libgpg-error codes {codes})")


def examine(key: str, listing: str) -> OpenPGPError:
    """Return what is wrong with `key` as a recipient, from `gpg --with-colons --list-keys`."""
    rows = [line.split(":") for line in listing.split("\n")]
    rows = [row for row in rows if row[0] in ("pub", "sub") and len(row) > CAPABILITIES]
    primary = [row for row in rows if row[0] == "pub"]
    if not primary:
        return KeyNotFound(key)
    if len(primary) == 1 and (error := _fault_of_primary(key, primary[0])):
        return error
    return _fault_of_subkeys(key, [row for row in rows if "e" in row[CAPABILITIES]])


def _fault_of_primary(key: str, row: list[str]) -> KeyUnusable | None:
    if row[VALIDITY] == REVOKED:
        return KeyRevoked(key)
    if row[VALIDITY] == EXPIRED:
        return KeyExpired(key, _date(row[EXPIRY]))
    if "D" in row[CAPABILITIES]:
        return KeyUnusable(key, ": it is disabled")
    if _is_number(row[CREATION]) and int(row[CREATION]) > time.time():
        return KeyUnusable(key, ": it was made in the future, so the clock may be wrong")
    return None


def _fault_of_subkeys(key: str, encrypting: list[list[str]]) -> KeyUnusable:
    """Tell why none of the rows that could be encrypted to serves."""
    if not encrypting:
        return NoEncryptionSubkey(key)
    expired = [row[EXPIRY] for row in encrypting if row[VALIDITY] == EXPIRED]
    if any(row[VALIDITY] not in (REVOKED, EXPIRED) for row in encrypting):
        return KeyUnusable(key)
    return KeyExpired(key, _date(max(expired))) if expired else KeyRevoked(key)


def _complaints(status: "Status", keyword: str, user_id: str) -> list[list[str]]:
    return [words for words in status.get(keyword, []) if words and words[-1] == user_id]


def _signing_detail(key: str, listing: str) -> str:
    found = examine(key, listing)
    if isinstance(found, (KeyNotFound, KeyExpired, KeyRevoked)):
        return f": it {found.reason}{found.detail}"
    return ": its secret key is not in the keyring, or is not for signing"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len("4294967295")  # 32 bits


def _date(seconds: str) -> str:
    if not _is_number(seconds):
        return ""
    return time.strftime(", on %Y-%m-%d", time.gmtime(int(seconds)))
