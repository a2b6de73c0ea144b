"""The user's known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): under which names a key is there.

`trex respond` has no connection, so its user is told whose host keys a challenge names.
"""

from __future__ import annotations

import binascii
import hmac
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trex.cli.client.context import shown
from trex.openpgp.hostkeys import key_named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

# The defaults of UserKnownHostsFile and GlobalKnownHostsFile (ssh_config(5)).
FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2",
         "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")  # fmt: skip
MAX_SIZE = 16 << 20  # bytes of a file
COMMENT, MARKER = b"#", b"@"  # a marker: a certificate authority, or a revoked key
HASHED = "|1|"  # then salt and HMAC-SHA1 of the name, in base64
HIDDEN = "a host whose name is hashed there"
MANY = 3  # names that are shown


@dataclass
class Known:
    """The names of known hosts that have one of some keys, and whether `name` has only others."""

    names: list[str] = field(default_factory=list)
    is_other: bool = False

    def __str__(self) -> str:
        if self.is_other:
            return "NOT the host that you know by this name"
        if not self.names:
            return "not known"
        more = len(self.names) - MANY
        others = f" and {more} others" if more > 0 else ""
        return f"known as {', '.join(map(shown, self.names[:MANY]))}{others}"


def look_up(keys: Collection[str], candidates: Iterable[str]) -> Known:
    """Return under which names these keys, in `short` form, are in known_hosts.

    `candidates` are the names that the host may have there. A hashed name can only be compared with
    these. If one of them is there with other keys alone, it is another host.
    """
    candidates = list(dict.fromkeys(candidates))
    names: dict[str, None] = {}
    right = other = False
    for patterns, key in _entries():
        matching = [name for name in candidates if _matches(patterns, name)]
        if key not in keys:
            other = other or bool(matching)
            continue
        right = right or bool(matching)
        names.update(dict.fromkeys(matching or _readable(patterns)))
    told = [name for name in names if name != HIDDEN] or list(names)
    return Known(told, is_other=other and not right)


def _entries() -> Iterator[tuple[list[str], str]]:
    """Yield the names of each line, and its key in `short` form; other lines are skipped."""
    for path in FILES:
        try:
            with open(os.path.expanduser(path), "rb") as file:
                content = file.read(MAX_SIZE)
        except OSError:
            continue
        for line in content.splitlines():
            words = line.split()
            if len(words) > 2 and not line.lstrip().startswith((COMMENT, MARKER)):  # noqa: PLR2004
                try:
                    key = key_named(words[1], words[2])
                except ValueError:
                    continue
                yield words[0].decode("utf-8", "surrogateescape").split(","), key


def _matches(patterns: list[str], name: str) -> bool:
    """Return whether a line is for this very name; a pattern with `*` or `?` names no host."""
    return any(
        _is_hash_of(one, name) if one.startswith(HASHED) else one.lower() == name
        for one in patterns
    )


def _readable(patterns: list[str]) -> list[str]:
    if any(one.startswith(HASHED) for one in patterns):
        return [HIDDEN]
    return [one for one in patterns if not one.startswith("!")]


def _is_hash_of(hashed: str, name: str) -> bool:
    salt, _, digest = hashed[len(HASHED) :].partition("|")
    try:
        key, expected = binascii.a2b_base64(salt), binascii.a2b_base64(digest)
    except binascii.Error:
        return False
    return hmac.digest(key, name.encode("utf-8", "surrogateescape"), "sha1") == expected
