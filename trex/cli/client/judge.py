"""Whether a challenge is answered for an ssh run: by its host keys, its names, and its signer."""

from __future__ import annotations

from trex.cli.client.context import UNTIL, shown
from trex.cli.client.hosts import UNKNOWN, split_port
from trex.cli.client.services import RAISING, SSHD
from trex.cli.errors import Refused
from trex.openpgp.prompt import encoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trex.cli.client.keyed import Keyed
    from trex.cli.client.message import OpenedChallenge
    from trex.cli.client.names import Names
    from trex.cli.client.pins import Pins
    from trex.cli.client.services import Services
    from trex.cli.client.target import Target

HASH = "SHA256:"  # as ssh prints a fingerprint
MANY = 3  # pins of one key that are shown on a line


class Doubt:
    """Why a message may come from another server, or be for another service; what to ask once.

    `question` is printed after `reason`.
    """

    __slots__ = ("question", "reason", "remember")

    def __init__(self, reason: str, question: str, remember: Callable[[], None]) -> None:
        self.reason = reason
        self.question = question
        self.remember = remember


def check_host_key(challenge: OpenedChallenge, target: Target, keyed: Keyed) -> None:
    """Refuse a challenge of another server than ssh is connected to, whatever its names are.

    One that names no host keys is another server's too, where this host's have named theirs.
    """
    named = challenge.context.host_keys
    if named and target.host_keys and not is_bound(challenge, target):
        raise Refused(
            f"PASSED ON FROM ANOTHER SERVER: expected the host key {_keys(target.host_keys)} of "
            f"this connection in the challenge, found {_keys(named)}",
            "do not log in there; if it is the right server: trex doctor there, about host_keys=",
        )
    entry = "" if named else keyed.entry(target)
    if entry:
        raise Refused(
            f"NO HOST KEYS: the challenges of {shown(entry)} have named its host keys, and this "
            "one names none",
            "another server's may have been passed on; if its administrator says that it is "
            f"right, delete the line {shown(entry)} in {keyed.path}",
        )


def is_bound(challenge: OpenedChallenge, target: Target) -> bool:
    """Return whether the challenge is that of the server that ssh is connected to, by its key."""
    return bool(target.host_keys) and set(target.host_keys) <= set(challenge.context.host_keys)


def _keys(keys: tuple[str, ...]) -> str:
    return " or ".join(f"{HASH}{key}" for key in keys)


def check_signer(challenge: OpenedChallenge, target: Target, pins: Pins) -> None:
    """Refuse a message that is not signed by the key that is pinned for its host.

    If no name that the user has for that host is pinned, the name in the message counts.
    """
    named = [challenge.context.host.lower()]
    _check_signer(
        challenge,
        pins.expected(target.hosts, target.port) or pins.expected(named, target.port),
    )


def check_pasted(
    challenge: OpenedChallenge, names: Names, pins: Pins, known_as: Sequence[str] = ()
) -> None:
    """Refuse a pasted message that is not signed by a key that is pinned for the host in it.

    A pin under another name counts too, if the user has confirmed that name for ssh, or if the
    host keys in the message are in known_hosts under that name (`known_as`).
    """
    theirs = challenge.context
    known = [split_port(host)[0] for host in (*names.hosts_of(theirs.name), *known_as)]
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

    It may come from another server, passed on by the one that asks, or be for another program. The
    host's name is not asked about if its key proves it.
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

    A name without a domain differs from one with it: many hosts call themselves `web`. Whatever a
    host calls itself, its key tells it from all others.
    """
    theirs = challenge.context
    if theirs.user != encoded(target.user):
        return f"The message is for the user {shown(theirs.user)}, but ssh logs in {target.user}."
    if not is_bound(challenge, target) and theirs.host.lower() not in map(encoded, target.hosts):
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
        ("hostkeys", _host_key(challenge, target)),
        ("signed", _signature(challenge, target, pins)),
    ]


def _host_key(challenge: OpenedChallenge, target: Target) -> str:
    if is_bound(challenge, target):
        return "that of this connection"
    if not challenge.context.host_keys:
        return "none named, so not compared"
    return "not compared, because ssh has not told the key of this connection"


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
