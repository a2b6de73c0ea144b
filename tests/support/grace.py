"""Where grace periods lie, and a line that has one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.sandbox import Account

PLACE = Path("/run/trex-pam.grace")
BOOT = "/proc/sys/kernel/random/boot_id"
HOME, OFFICE = "192.0.2.1", "192.0.2.2"
DAY = "grace_period=86400"
UNASKED = "not asked: "  # in the log


def only_file(user: Account) -> Path:
    """Return the one file that remembers this user."""
    (path,) = (PLACE / str(user.uid)).iterdir()
    return path
