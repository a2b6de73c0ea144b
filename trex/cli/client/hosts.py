"""Host names, and when two of them may refer to the same host."""

from __future__ import annotations

import ipaddress
import re

from trex.cli.errors import CommandError

# A name or an address, as the server writes it into a message; a port as in known_hosts.
HOST_FORM = re.compile(r"[a-z0-9._:%~-]+|\[[a-z0-9._:%~-]+\]:[0-9]{1,5}")
UNKNOWN = ""  # a port: then the pins for all ports of a host count
WITH_PORT = re.compile(r"\[(.+)\]:([0-9]+)")


def parse_host(text: str) -> str:
    """Return a host name in the form that is compared and stored. Raises CommandError."""
    host = text.lower().removesuffix(".")
    if not HOST_FORM.fullmatch(host) or host.startswith("-"):
        raise CommandError(f"{text!r} is not a host name")
    return host


def split_port(host: str) -> tuple[str, str]:
    """Return a host of that form and its port, "" if it has none."""
    found = WITH_PORT.fullmatch(host)
    return (found[1], found[2]) if found else (host, "")


def same_host(one: str, other: str) -> bool:
    """Return whether two names may refer to one host: equal, or `web` and `web.example.org`.

    `web` may be a host of any domain, so this can be true of different hosts. It is only used to
    require more of a message, never less.
    """
    if one == other:
        return True
    if "." in one and "." in other:
        return False
    bare, full = (other, one) if "." in one else (one, other)
    return not _is_address(full) and bare == full.partition(".")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
