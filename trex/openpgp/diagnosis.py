"""Finding out from gpg's status lines why it made no message, although the keys are in order.

Used only after a login has failed.
"""

import os

from trex.errors import GpgFailed
from trex.openpgp.errors import KeyNotTrusted, KeyUnusable, SigningKeyLocked, SigningKeyUnusable
from trex.openpgp.keylist import parse_listing
from trex.openpgp.recipients import fault_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from trex.errors import OpenPGPError
    from trex.openpgp.recipients import Chosen

    Status = dict[str, list[list[str]]]

    class Attempt(Protocol):
        """A run of gpg that made no message, and the keys it was given."""

        chosen: list[Chosen]
        signer: Chosen | None

        def show_block(self, block: bytes, /) -> str:
            """Return the listing of a public key that is in no keyring. Raises an OpenPGPError."""


INV_RECP_NOT_TRUSTED = "10"
# Low 16 bits of a FAILURE line's code, from libgpg-error: BAD_PASSPHRASE, NO_PIN_ENTRY, CANCELED,
# NO_PASSPHRASE, FULLY_CANCELED.
FIPS_FORCED, FIPS_OF_KERNEL = "/etc/gcrypt/fips_enabled", "/proc/sys/crypto/fips_enabled"
MOST_CODES = 8  # that a message quotes
WANTED_PASSPHRASE = (11, 85, 99, 177, 198)


def diagnose(status: "Status", gpg: "Attempt") -> "OpenPGPError":
    """Return the error with the reason."""
    for _, fault in faults_of(status, gpg):
        return fault
    signer = gpg.signer
    if signer and _complaints(status, "INV_SGNR", signer.asked):
        return SigningKeyUnusable(
            signer.name, ": its secret key is not in the keyring, or is not for signing"
        )
    numbers = [words[1] for words in status.get("FAILURE", []) if words[1:]]
    codes = [int(number) & 0xFFFF for number in numbers if _is_number(number)]
    if signer and any(code in WANTED_PASSPHRASE for code in codes):
        return SigningKeyLocked(signer.name)
    fips = "; in FIPS mode it takes RSA and the curves of NIST alone" if is_in_fips_mode() else ""
    return GpgFailed(f"gpg made no message (libgpg-error codes {codes[:MOST_CODES]}){fips}")


def is_in_fips_mode() -> bool:
    """Tell whether libgcrypt follows FIPS 140, as its manual says under "FIPS mode"."""
    if os.access(FIPS_FORCED, os.F_OK):
        return True
    try:
        with open(FIPS_OF_KERNEL, "rb") as file:
            return file.read(2).strip() not in (b"", b"0")
    except OSError:
        return False


def faults_of(status: "Status", gpg: "Attempt") -> "Iterator[tuple[str, KeyUnusable]]":
    """Yield each key that cannot be used, by its name in the record, with the reason."""
    for one in gpg.chosen:
        if one.block and (fault := _fault_of_block(one, gpg)):
            yield one.name, fault
            continue
        for code, *_ in _complaints(status, "INV_RECP", one.asked)[:1]:
            if code == INV_RECP_NOT_TRUSTED:
                detail = "; gpg --check-trustdb may update the trust database"
                yield one.name, KeyNotTrusted(one.name, detail)
            else:
                yield one.name, KeyUnusable(one.name)


def _fault_of_block(one: "Chosen", gpg: "Attempt") -> KeyUnusable | None:
    """Return what is wrong with a key that was given to gpg: a key file was not listed before."""
    for key in parse_listing(gpg.show_block(one.block)):
        return fault_of(one.name, key)
    return None


def _complaints(status: "Status", keyword: str, asked: str) -> list[list[str]]:
    return [words for words in status.get(keyword, []) if words and words[-1] == asked]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len("4294967295")  # 32 bits
