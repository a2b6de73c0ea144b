"""What a shell proposes for a host: ssh's own, those with a pin, those with a confirmed name.

`trex ssh` is completed by the shell's own completion for ssh where there is one
(`trex.cli.manual`). This is for the other commands, and for shells without it.
"""

from __future__ import annotations

import glob
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.client.names import Names
from trex.cli.client.pins import Pins
from trex.cli.completing import beginning
from trex.errors import TrexError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

CONFIGS = ("~/.ssh/config", "/etc/ssh/ssh_config")
KNOWN = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
MAX_SIZE = 4 << 20  # bytes
MAX_DEPTH = 16  # ssh_config(5), Include
LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*)")
PATTERN = re.compile(r"[*?!]")


def hosts(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete `host` or `user@host` by ssh's configuration and known hosts."""
    user, at, host = incomplete.rpartition("@")
    found = {name for path in CONFIGS for name in _configured(os.path.expanduser(path), 0)}
    found |= {name for path in KNOWN for name in _known(os.path.expanduser(path))}
    return [f"{user}{at}{name}" for name in beginning(found, host)]


def pinned(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete a host that a key is pinned for."""
    with suppress(TrexError):
        return beginning(Pins().by_host, incomplete)
    return []


def named(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete a host whose name was confirmed, as ssh knows it."""
    with suppress(TrexError):
        return beginning((ours for ours, _ in Names().confirmed), incomplete)
    return []


def _configured(path: str, depth: int) -> Iterator[str]:
    """Yield the hosts of a configuration, and of the files that it includes."""
    for line in _lines(path):
        found = LINE.match(line)
        keyword, words = (found[1].lower(), found[2].split()) if found else ("", [])
        if keyword == "host":
            yield from (word for word in words if not PATTERN.search(word))
        if keyword == "include" and depth < MAX_DEPTH:
            for pattern in words:
                whole = os.path.join(os.path.dirname(path), os.path.expanduser(pattern))
                for included in sorted(glob.glob(whole)):
                    yield from _configured(included, depth + 1)


def _known(path: str) -> Iterator[str]:
    """Yield the names in a known_hosts file; hashed ones cannot be read."""
    for line in _lines(path):
        words = line.split()
        if words and words[0].startswith("@"):
            words = words[1:]
        if words and not words[0].startswith(("#", "|")):
            yield from (name for name in words[0].split(",") if not PATTERN.search(name))


def _lines(path: str) -> list[str]:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read(MAX_SIZE).splitlines()
    return []
