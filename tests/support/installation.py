"""script/install, and what it makes on a host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.sandbox import PROJECT

LIBRARY = Path("/usr/lib/trex-pam")
ENTRY = Path("/lib/security/pam_trex.py")
# Beside the other modules of libpam.
SECURITY = next(
    path for path in Path("/usr/lib").glob(f"{os.uname().machine}-*/security") if path.is_dir()
)
DOOR = SECURITY / "pam_trex.so"


def install(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROJECT / "script/install", *arguments], capture_output=True, text=True,
        check=False, env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def described(path: Path) -> tuple[str, str, int]:
    """Return owner, group and mode."""
    return path.owner(), path.group(), mode(path)


def has_sender() -> bool:
    """Tell whether the account that sends is there."""
    return "_trex-sms:" in Path("/etc/passwd").read_text()


def remove_pam_python() -> None:
    """Take Debian's module away, where /usr/lib is an overlay."""
    for pattern in ("security/pam_python.so", "*/security/pam_python.so"):
        for path in Path("/usr/lib").glob(pattern):
            path.unlink()


def remove_compiler() -> None:
    """Take cc and gcc away, where /usr/bin is an overlay."""
    for name in ("cc", "gcc"):
        Path("/usr/bin", name).unlink()
