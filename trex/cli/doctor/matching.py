"""The Match lines of sshd's configuration: what a login's settings can depend on.

Which of them apply, sshd itself says (`trex.cli.doctor.effective`). Here they are only read, to
know for which addresses sshd is to be asked, and which users it cannot tell apart.
Source: sshd_config(5), ssh_config(5), PATTERNS.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from fnmatch import fnmatchcase
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK, PUBLIC = "127.0.0.1", "198.51.100.1"  # RFC 5737: nobody's
LINE = re.compile(r"\s*match(?:\s*=\s*|\s+)(.*)", re.IGNORECASE)
CRITERIA = ("user", "group", "host", "address", "localaddress", "localport", "rdomain")
OF_NOBODY = "invalid-user"  # from OpenSSH 9.9 on
MAX_ORIGINS = 64
IPV4_PARTS = 4


class Origin(NamedTuple):
    """Where a login comes from, and where it arrives."""

    address: str
    host: str = ""  # "" if sshd does not resolve it: then it is the address
    local_address: str = LOOPBACK
    local_port: str = "22"
    routing_domain: str = ""

    def __str__(self) -> str:
        """Return the address, with the name of the host if it has one."""
        return f"{self.host} ({self.address})" if self.host else self.address


class Match(NamedTuple):
    """A Match line: its place, its text, and the patterns of each criterion in lower case."""

    path: str
    line: int
    text: str
    patterns: dict[str, list[str]]

    @property
    def where(self) -> str:
        """The file and line, as `path:line`."""
        return f"{self.path}:{self.line}"

    def __str__(self) -> str:
        """Return it as findings name it: `Match User bob (/etc/ssh/sshd_config:12)`."""
        return f"Match {self.text} ({self.where})"


def matches_in(path: str, lines: list[str]) -> list[Match]:
    """Return the Match lines of one file."""
    found = []
    for number, line in enumerate(lines, start=1):
        if matched := LINE.fullmatch(line):
            text = matched[1].strip()
            found.append(Match(path, number, text, _criteria(text)))
    return found


def _criteria(text: str) -> dict[str, list[str]]:
    """Return the patterns of a Match line; a criterion may be written `User bob` or `User=bob`."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:  # sshd does not start with it
        return {}
    found: dict[str, list[str]] = {}
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name.lower() not in CRITERIA:  # `all`, `invalid-user`: without a value
            found[name.lower()] = []
            continue
        if not equals:
            value = words.pop(0) if words else ""
        found.setdefault(name.lower(), []).extend(value.split(","))
    return found


def traits(matches: list[Match], user: str, groups: list[str]) -> tuple[bool, ...]:
    """Return what Match lines can tell a user by: which patterns fit. sshd treats equals alike."""
    users = [bare(text) for match in matches for text in match.patterns.get("user", ())]
    of_groups = [bare(text) for match in matches for text in match.patterns.get("group", ())]
    return (
        *(fits(user, pattern) for pattern in users),
        *(any(fits(group, pattern) for group in groups) for pattern in of_groups),
    )


def fits(text: str, pattern: str) -> bool:
    """Return whether one pattern of ssh_config(5), with `*` and `?` alone, fits a text."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def bare(pattern: str) -> str:
    """Return a pattern without its negation."""
    return pattern.removeprefix("!")


def origins(matches: list[Match], ports: list[str], others: list[str]) -> tuple[list[Origin], bool]:
    """Return the origins that settings may differ for, and whether these are all.

    They are loopback, a public address, and an example of whatever Match lines name, in all
    combinations.
    `others` are more patterns of addresses and hosts, as `AllowUsers` has them.
    """
    named = {name: _named(matches, name) for name in CRITERIA}
    named["address"] += others
    named["host"] += others
    addresses = _unique([LOOPBACK, PUBLIC, *map(address_of, named["address"])])
    hosts = _unique(["", *map(_host_of, named["host"])])
    local = _unique([LOOPBACK, *map(address_of, named["localaddress"])])
    arriving = _unique([*(ports or ["22"]), *named["localport"]])
    domains = ["", *_unique(map(_word_of, named["rdomain"]))]
    several = product(domains, arriving, local, hosts, addresses)
    found = [
        Origin(address, host, where, port, domain)
        for domain, port, where, host, address in several
    ]  # fmt: skip
    return found[:MAX_ORIGINS], len(found) <= MAX_ORIGINS


def _named(matches: list[Match], name: str) -> list[str]:
    return [bare(text) for match in matches for text in match.patterns.get(name, ())]


def _unique(texts: Iterable[str | None]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text is not None]


def address_of(pattern: str) -> str | None:
    """Return an address that a pattern fits: a CIDR network, an address, or one with `*`."""
    try:
        network = ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return _filled(pattern)
    return str(network[1 if network.num_addresses > 2 else 0])  # noqa: PLR2004 (without its ends)


def _filled(pattern: str) -> str | None:
    text = re.sub(r"[*?]+", "1", pattern)
    parts = text.split(".")
    if "*" in pattern and len(parts) < IPV4_PARTS and ":" not in text:
        text = ".".join([*parts, *["1"] * (IPV4_PARTS - len(parts))])
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:  # a name, or a pattern of no address
        return None


def _host_of(pattern: str) -> str | None:
    """Return a host name that a pattern fits; None for an address, or for a pattern of all."""
    if not re.search("[a-zA-Z]", pattern) or ":" in pattern:
        return None
    return _word_of(pattern).strip(".") or None


def _word_of(pattern: str) -> str:
    return re.sub(r"[*?]", "x", pattern)
