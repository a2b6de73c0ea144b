"""Host names, and when two of them may refer to the same host."""

from __future__ import annotations

from trex.cli.client.words import DIGITS, is_word
from trex.cli.errors import CommandError

# A name or an address, as the server writes it into a message; a port as in known_hosts.
SIGNS = DIGITS | frozenset("abcdefghijklmnopqrstuvwxyz._:%~-")
UNKNOWN = ""  # a port: then the pins for all ports of a host count
PORT_DIGITS = 5


def parse_host(text: str) -> str:
    """Return a host name in the form that is compared and stored. Raises CommandError."""
    host = text.lower().removesuffix(".")
    if not is_host(host) or host.startswith("-"):
        raise CommandError(f"{text!r} is not a host name")
    return host


def split_port(host: str) -> tuple[str, str]:
    """Return a host of that form and its port, "" if it has none."""
    name, bracket, port = host[1:].rpartition("]:")
    if host.startswith("[") and bracket and name and is_word(port, DIGITS):
        return name, port
    return host, ""


def is_host(text: str) -> bool:
    """Return whether `text` is a host name or an address in lower case, maybe with a port."""
    name, port = split_port(text)
    return is_word(name, SIGNS) and len(port) <= PORT_DIGITS


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
    import ipaddress  # only for a pin of a name without a domain

    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
