"""Answering one challenge for one user at one host: what `trex ssh` and programs have in common."""

from __future__ import annotations

from trex.cli.client.answered import check_new, claim
from trex.cli.client.judge import (
    Doubt,
    check_host_key,
    check_service,
    check_signer,
    describe,
    doubts,
    is_bound,
    ssh_name,
)
from trex.cli.client.keyed import Keyed
from trex.cli.client.loginkeys import LoginKeys, own_of
from trex.cli.client.message import open_challenge
from trex.cli.client.names import Names
from trex.cli.client.pins import Pins
from trex.cli.client.services import Services
from trex.cli.client.waiting import Waiting
from trex.cli.errors import Refused, Unconfirmed
from trex.cli.tell import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.cli.client.child import RunningProgram
    from trex.cli.client.loginkeys import Ask
    from trex.cli.client.message import OpenedChallenge
    from trex.cli.client.packets import Sealed
    from trex.cli.client.target import Target


class Answering:
    """The files that decide, read before anything is decrypted: a damaged one is an error."""

    sealed: Sealed  # the message that was answered

    def __init__(self, ask: Ask | None = None) -> None:
        """Ask the user by `ask`; without it, what they have to confirm is an error."""
        self._ask = ask
        self._names, self._services, self.pins = Names(), Services(), Pins()
        self._keys, self._keyed = LoginKeys(ask or _nobody), Keyed()

    def respond(
        self, messages: list[Sealed], find: Callable[[], Target],
        listing: RunningProgram | None = None, late: Callable[[], None] | None = None,
    ) -> str:  # fmt: skip
        """Return the response to the user's own message; raise a TrexError if there is none.

        `find` says who asks. `listing` is gpg, if it lists the secret keys by now, and `late` is
        called if gpg takes longer than a machine does.
        """
        check_new(*messages)
        target = find()
        keys = self._keys.choose(messages, ssh_name(target), listing)
        sealed = self.sealed = own_of(messages, keys)
        waiting = Waiting(
            f"to answer {target.user} at {target.host}", keys, quiet=target.quiet, late=late
        )
        challenge = open_challenge(sealed, keys, waiting)
        open_doubts = self.judge(challenge, target)
        claim(sealed)
        self._keys.remember(ssh_name(target), keys)
        for doubt in open_doubts:
            doubt.remember()
        if is_bound(challenge, target):
            self._keyed.add(target)
        if not target.quiet:
            self.tell(challenge, target)
        return challenge.response

    def judge(self, challenge: OpenedChallenge, target: Target) -> list[Doubt]:
        """Return what the user has confirmed just now. Raises Refused."""
        check_service(challenge)
        check_host_key(challenge, target, self._keyed)
        check_signer(challenge, target, self.pins)
        found = list(doubts(challenge, target, self._names, self._services, self.pins))
        if found:
            self._confirm(found, challenge, target)
        return found

    def _confirm(self, found: list[Doubt], challenge: OpenedChallenge, target: Target) -> None:
        """Ask the user about each doubt, once. Raises Refused at an answer that is not yes."""
        for name, value in describe(challenge, target, self.pins) if self._ask else ():
            tell(f"{name}: {value}")
        for doubt in found:
            ask = self._ask or _nobody
            said = ask(f"{doubt.reason}\n{doubt.question} (yes/no) ")
            if said is None:
                raise Unconfirmed(
                    f"not answered. {doubt.reason}",
                    "run trex ssh once at a terminal, and answer the question there",
                )
            if not said:
                raise Refused(f"not answered. {doubt.reason}")

    def tell(self, challenge: OpenedChallenge, target: Target) -> None:
        """Report what was answered."""
        told = dict(describe(challenge, target, self.pins))
        tell("answered {user} at {host} ({service}), from {from}, until {until}".format(**told))
        tell("host key: {hostkeys}; signed: {signed}".format(**told))
        if challenge.signer and not self.pins.exact(target.hosts, target.port):
            tell(f"to let no other key sign for it: trex pin {target.host} {challenge.signer}")


def _nobody(_question: str) -> None:
    """Answer for a user who cannot be asked."""


def ask_at_terminal(question: str) -> bool | None:
    """Return whether the user types `yes` at the terminal, None if there is no terminal."""
    from trex.cli.client.foreign import ask_yes  # only to ask

    return ask_yes(question)
