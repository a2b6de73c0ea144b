"""Recovery codes that a test knows, and the file with their hashes, written independently."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sandbox import Account

FILE = ".trex_recovery"
CODES = ("7K3M-QX9D-2HWC-V5TN", "0123-4567-89AB-CDEF", "GHJK-MNPQ-RSTV-WXYZ")
SALT = "00112233445566778899aabbccddeeff"
MADE = 1_764_263_873


def hashed(code: str, salt: str = SALT) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + code.replace("-", "").encode()).hexdigest()


def text(uid: int, codes: tuple[str, ...] = CODES, spent: dict[str, int] | None = None) -> str:
    """Return a file; `spent` has the time at which a code was used."""
    used = spent or {}
    lines = [f"code {hashed(code)}" + (f" {used[code]}" if code in used else "") for code in codes]
    head = ("# codes", f"uid {uid}", f"made {MADE}", f"salt {SALT}")
    return "".join(f"{line}\n" for line in (*head, *lines))


def write_codes(user: Account, spent: dict[str, int] | None = None) -> Path:
    """Give a user the codes."""
    return user.write(text(user.uid, spent=spent), FILE)


def recovery_file(user: Account) -> Path:
    return user.home / FILE


def spent_in(path: Path) -> list[str]:
    """Return which of the codes a file has as spent."""
    words = [line.split() for line in path.read_text().splitlines() if line.startswith("code ")]
    used = {word[1] for word in words if len(word) > 2}
    return [code for code in CODES if hashed(code) in used]
