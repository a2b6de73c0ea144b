"""A network of a test's own: a loopback interface with addresses that are nobody else's."""

from __future__ import annotations

import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000


def enter_network(*addresses: str) -> None:
    """Move this process into a network namespace that has these addresses. Needs root."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in addresses:
        quick = ["nodad"] if ":" in address else []  # else it could be bound to only later
        subprocess.run(["ip", "address", "add", address, "dev", "lo", *quick], check=True)
