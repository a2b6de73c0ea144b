"""What `trex totp enroll` shows once."""

from __future__ import annotations

import re


def secret_in(shown: str) -> str:
    """Return the secret for typing."""
    (found,) = re.findall(r"Without a camera, type: ([A-Z2-7 ]+)$", shown, re.MULTILINE)
    return str(found).replace(" ", "")


def emergency_in(shown: str) -> list[str]:
    """Return the emergency codes."""
    return re.findall(r"^\d{8}$", shown, re.MULTILINE)
