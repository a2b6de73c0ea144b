"""Whether a challenge is answered for an ssh run: by whom it names, and by who signed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.context import UNTIL, shown
from trex.cli.errors import Refused
from trex.cli.hosts import same_host
from trex.prompt import encoded

if TYPE_CHECKING:
    from trex.cli.message import Message
    from trex.cli.names import Names
    from trex.cli.pins import Pins
    from trex.cli.target import Target


def check_signer(message: Message, hosts: list[str], pins: Pins) -> None:
    """Refuse a message that not the key signed which is pinned for the host it comes from.

    `hosts` are the names by which the user knows that host; where none of them is pinned, the name
    in the message counts.
    """
    expected = _expected(message, hosts, pins)
    if not expected or message.signer in expected:
        return
    keys = " or ".join(sorted(expected))
    if message.signer:
        raise Refused(
            f"SIGNED BY ANOTHER KEY: {message.signer}, and {keys} is pinned for this host",
            "somebody may pretend to be that host: ask its administrators",
        )
    if message.unknown_signer:
        raise Refused(
            f"signed by {message.unknown_signer}, which is not in the keyring; {keys} is pinned",
            "gpg --import the host's key, if you lost it",
        )
    raise Refused(
        f"NOT SIGNED, and {keys} is pinned for this host",
        "somebody may pretend to be that host: ask its administrators",
    )


def doubt(message: Message, target: Target, names: Names, pins: Pins) -> str:
    """Return why the user has to say that this message comes from where ssh goes, or "".

    Such a message may be another server's, passed on by the one that asks.
    """
    if (ssh_name(target), message.context.name) in names.confirmed:
        return ""
    theirs = message.context
    if theirs.user != encoded(target.user):
        return f"The message is for the user {shown(theirs.user)}, and ssh logs in {target.user}."
    if not any(same_host(theirs.host.lower(), host) for host in target.hosts):
        return f"The message is for the host {shown(theirs.host)}, and ssh goes to {target.host}."
    elsewhere = pins.hosts_of(message.signer)
    if elsewhere and not pins.expected(target.names):
        return f"The key that signed it is pinned for {elsewhere[0]}, and not for {target.host}."
    return ""


def ssh_name(target: Target) -> str:
    """Return the name of a target as it is stored when the user confirms it."""
    return f"{encoded(target.user)}@{encoded(target.host)}"


def describe(message: Message, pins: Pins, hosts: list[str]) -> list[tuple[str, str]]:
    """Return what a message says about itself, ready to be shown, as names and values."""
    asks = message.context
    return [
        ("user", shown(asks.user)),
        ("host", shown(asks.host)),
        ("service", shown(asks.service)),
        ("from", shown(asks.origin)),
        ("until", asks.until.strftime(UNTIL)),
        ("signed", _signature(message, pins, hosts)),
    ]


def _signature(message: Message, pins: Pins, hosts: list[str]) -> str:
    if message.unknown_signer:
        return f"by {message.unknown_signer}, which is not in your keyring: not checked"
    if not message.signer:
        return "no"
    if message.signer in _expected(message, hosts, pins):
        return f"by {message.signer}, pinned for this host"
    return f"by {message.signer}, not pinned for this host"


def _expected(message: Message, hosts: list[str], pins: Pins) -> set[str]:
    return pins.expected(hosts) or pins.expected([message.context.host.lower()])
