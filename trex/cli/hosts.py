"""Names of hosts, and when two of them mean the same one."""

from __future__ import annotations

import ipaddress
import re

from trex.cli.errors import ClientError

# A name or an address, as the server writes it into a message; with a port as in known_hosts.
HOST_FORM = re.compile(r"[a-z0-9._:%~-]+|\[[a-z0-9._:%~-]+\]:[0-9]{1,5}")


def parse_host(text: str) -> str:
    """Return a host as it is compared and stored. Raises ClientError for what is no host."""
    host = text.lower().removesuffix(".")
    if not HOST_FORM.fullmatch(host) or host.startswith("-"):
        raise ClientError(f"{text!r} is no name of a host")
    return host


def same_host(one: str, other: str) -> bool:
    """Tell whether two names may mean the same host: equal, or `web` and `web.example.org`.

    A name without a domain says nothing about the domain: this accepts that two hosts of different
    domains with the same first part pass for each other, unless they sign and are pinned.
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
