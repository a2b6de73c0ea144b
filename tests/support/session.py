"""Sessions that `trex setup` has prepared: a shell that reads its profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.client import BIN

if TYPE_CHECKING:
    import subprocess

    from tests.support.client import Client

SHELLS = {
    "sh": ["sh", "-l", "-c"],
    "bash": ["bash", "--login", "-c"],
    "zsh": ["zsh", "-c"],
    "fish": ["fish", "-c"],
}


def set_up(laptop: Client, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `trex setup` without questions."""
    return laptop.run("trex", "setup", "--yes", *options)


def in_session(
    laptop: Client, line: str, before: dict[str, str] | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run a line in a new session without a terminal; `before` is what was set before it."""
    line = f"PATH={BIN}:$PATH; {line}"  # Debian's /etc/profile sets it
    return laptop.run(*SHELLS["bash"], line, environment=before, stdin=stdin)
