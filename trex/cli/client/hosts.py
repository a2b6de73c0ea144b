"""Names of hosts, and when two of them mean the same one."""

from __future__ import annotations

import ipaddress
import re

from trex.cli.errors import ClientError

# A name or an address, as the server writes it into a message; with a port as in known_hosts.
HOST_FORM = re.compile(r"[a-z0-9._:%~-]+|\[[a-z0-9._:%~-]+\]:[0-9]{1,5}")
UNKNOWN = ""  # a port: then the pins of all a host's ports count
WITH_PORT = re.compile(r"\[(.+)\]:([0-9]+)")


def parse_host(text: str) -> str:
    """Return a host as it is compared and stored. Raises ClientError for what is no host."""
    host = text.lower().removesuffix(".")
    if not HOST_FORM.fullmatch(host) or host.startswith("-"):
        raise ClientError(f"{text!r} is no name of a host")
    return host


def split_port(host: str) -> tuple[str, str]:
    """Return a host of that form and its port, "" where none is named."""
    found = WITH_PORT.fullmatch(host)
    return (found[1], found[2]) if found else (host, "")


def same_host(one: str, other: str) -> bool:
    """Tell whether two names may mean the same host: equal, or `web` and `web.example.org`.

    A name without a domain says nothing about the domain, so two hosts of different domains with
    the same first part may. That is reason enough to demand more of a message, never less.
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
