"""Whether a challenge is answered for an ssh run: by the names in it, and by its signer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trex.cli.client.context import UNTIL, shown
from trex.cli.client.hosts import UNKNOWN, split_port
from trex.cli.client.services import RAISING, SSHD
from trex.cli.errors import Refused
from trex.openpgp.prompt import encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trex.cli.client.message import OpenedChallenge
    from trex.cli.client.names import Names
    from trex.cli.client.pins import Pins
    from trex.cli.client.services import Services
    from trex.cli.client.target import Target

MANY = 3  # pins of one key that are shown on a line


@dataclass(frozen=True)
class Doubt:
    """Why a message may come from another server, or be for another service; what to ask once."""

    reason: str
    question: str  # printed after `reason`
    remember: Callable[[], None]


def check_signer(challenge: OpenedChallenge, target: Target, pins: Pins) -> None:
    """Refuse a message that is not signed by the key that is pinned for its host.

    If no name that the user has for that host is pinned, the name in the message counts.
    """
    named = [challenge.context.host.lower()]
    _check_signer(
        challenge,
        pins.expected(target.hosts, target.port) or pins.expected(named, target.port),
    )


def check_pasted(challenge: OpenedChallenge, names: Names, pins: Pins) -> None:
    """Refuse a pasted message that is not signed by a key that is pinned for the host in it.

    A pin under another name counts too, if the user has confirmed that name for ssh.
    """
    theirs = challenge.context
    known = [split_port(host)[0] for host in names.hosts_of(theirs.name)]
    hosts = [theirs.host.lower(), *known]
    _check_signer(challenge, {key for host in hosts for key in pins.expected([host], UNKNOWN)})


def _check_signer(challenge: OpenedChallenge, expected: set[str]) -> None:
    if not expected or challenge.signer in expected:
        return
    keys = " or ".join(sorted(expected))
    if challenge.signer:
        raise Refused(
            f"SIGNED BY ANOTHER KEY: expected {keys}, which is pinned for this host, "
            f"found {challenge.signer}",
            "somebody may pretend to be that host: ask its administrators",
        )
    if challenge.unknown_signer:
        raise Refused(
            f"expected a signature by {keys}, which is pinned for this host, found one by "
            f"{challenge.unknown_signer}, which is not in your keyring",
            "if the host's key is missing from your keyring: gpg --import it again",
        )
    raise Refused(
        f"NOT SIGNED: expected a signature by {keys}, which is pinned for this host",
        "somebody may pretend to be that host: ask its administrators",
    )


def check_service(challenge: OpenedChallenge) -> None:
    """Refuse a service that no login by ssh uses, without asking the user."""
    service = challenge.context.service
    if service in RAISING:
        raise Refused(
            f"this challenge is for {service}, not for a login by ssh",
            "somebody may want to use your rights elsewhere: do not answer it",
        )


def doubts(
    challenge: OpenedChallenge, target: Target, names: Names, services: Services, pins: Pins
) -> Iterator[Doubt]:
    """Yield what the user has to confirm before this message is answered.

    It may come from another server, passed on by the one that asks, or be for another program.
    """
    theirs, host = challenge.context, target.host
    differs = _other_name(challenge, target)
    if differs and (ssh_name(target), theirs.name) not in names.confirmed:
        yield Doubt(
            differs,
            "If these are not the same, another server's challenge was passed on to you, and the "
            "answer would\nlet somebody else log in there. Are they the same?",
            lambda: names.confirm(ssh_name(target), theirs.name),
        )
    if theirs.service != SSHD and (encoded(host), theirs.service) not in services.allowed:
        yield Doubt(
            f"The message is for the PAM service {shown(theirs.service)}; expected {SSHD}.",
            f"If the sshd of {host} does not have this PAMServiceName, the answer would open\n"
            "something else there, not this login. Does it have this PAMServiceName?",
            lambda: services.allow(encoded(host), theirs.service),
        )
    elsewhere = pins.hosts_of(challenge.signer)
    if elsewhere and challenge.signer not in pins.exact(target.hosts, target.port):
        yield Doubt(
            f"The message is signed by a key that is pinned for {elsewhere[0]}, not for {host}.",
            f"If this key does not also sign for {host}, another server's challenge was passed on "
            f"to you.\nPin it for {host}?",
            lambda: pins.add(host, challenge.signer),
        )


def _other_name(challenge: OpenedChallenge, target: Target) -> str:
    """Return how the names in the message differ from the client's, or "".

    A name without a domain differs from one with it: many hosts call themselves `web`.
    """
    theirs = challenge.context
    if theirs.user != encoded(target.user):
        return f"The message is for the user {shown(theirs.user)}, but ssh logs in {target.user}."
    if theirs.host.lower() not in map(encoded, target.hosts):
        return f"The message is for the host {shown(theirs.host)}, but ssh goes to {target.host}."
    return ""


def ssh_name(target: Target) -> str:
    """Return a target's name in the form that is stored when the user confirms it."""
    return f"{encoded(target.user)}@{encoded(target.host)}"


def describe(challenge: OpenedChallenge, target: Target, pins: Pins) -> list[tuple[str, str]]:
    """Return what a message says about itself, as names and printable values."""
    asks = challenge.context
    return [
        ("user", shown(asks.user)),
        ("host", shown(asks.host)),
        ("service", shown(asks.service)),
        ("from", shown(asks.origin)),
        ("until", asks.until.strftime(UNTIL)),
        ("signed", _signature(challenge, target, pins)),
    ]


def _signature(challenge: OpenedChallenge, target: Target, pins: Pins) -> str:
    if challenge.unknown_signer:
        return f"by {challenge.unknown_signer}, which is not in your keyring: not checked"
    if not challenge.signer:
        return "no"
    if challenge.signer in pins.exact(target.hosts, target.port):
        return f"by {challenge.signer}, pinned for this host"
    pinned = pins.hosts_of(challenge.signer)
    if not pinned:
        return f"by {challenge.signer}, not pinned"
    others = f" and {len(pinned) - MANY} others" if len(pinned) > MANY else ""
    return f"by {challenge.signer}, pinned for {', '.join(pinned[:MANY])}{others}"
