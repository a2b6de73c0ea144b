"""The program that sudo asks instead of the user: it answers a challenge and passes on the rest.

sudo runs it as the user who called sudo (sudo(8), -A). Whoever can start it can start sudo as this
user, too: it answers nothing that they could not ask for themselves.
"""

from __future__ import annotations

import os
import pwd
import sys

from trex.cli.client.answering import Answering, ask_at_terminal
from trex.cli.client.context import shown
from trex.cli.client.foreign import ask
from trex.cli.client.handover import Handover
from trex.cli.client.hosts import UNKNOWN
from trex.cli.client.judge import check_signer, describe
from trex.cli.client.packets import read_messages
from trex.cli.client.paste import holds_message
from trex.cli.client.runs import SUDO, begin
from trex.cli.client.second import respond_with_second
from trex.cli.client.target import Target
from trex.cli.errors import CannotDecrypt, Refused
from trex.cli.tell import tell, tell_error
from trex.errors import TrexError
from trex.openpgp.hostkeys import host_keys
from trex.openpgp.prompt import encoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIGHUP, SIGTERM, signal

    from trex.cli.client.judge import Doubt
    from trex.cli.client.message import OpenedChallenge
else:  # as in trex-askpass
    from _signal import SIGHUP, SIGTERM, signal

SERVICES = ("sudo", "sudo-i")  # the second is for `sudo -i`
ELSEWHERE = "somebody may want to use your rights elsewhere: do not answer it"


def main() -> None:
    """Answer the prompt in the first argument on standard output, or exit with 1."""
    for number in (SIGTERM, SIGHUP):
        signal(number, lambda number, _: sys.exit(128 + number))
    try:
        sys.exit(_answer(" ".join(sys.argv[1:])))
    except TrexError as error:
        tell_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _answer(prompt: str) -> int:
    if holds_message(prompt):
        begin(SUDO)
        try:
            response = _respond(prompt)
        except CannotDecrypt as error:  # the user may have the key on another machine
            tell_error(error)
        else:
            sys.stdout.write(f"{response}\n")
            return 0
    return ask(prompt, Handover())


def _respond(prompt: str) -> str:
    messages, answering = read_messages(prompt), _Sudo(ask_at_terminal)
    if len(messages) == 1:
        return answering.respond(messages, _here)
    return respond_with_second(prompt, lambda: answering.respond(messages, _here))


def _here() -> Target:
    """Return this user, and this host."""
    return Target(pwd.getpwuid(os.getuid()).pw_name, [os.uname().nodename.lower()], UNKNOWN)


class _Sudo(Answering):
    """The rules for a challenge of sudo's; no confirmed name or service counts here."""

    def judge(self, challenge: OpenedChallenge, target: Target) -> list[Doubt]:
        asks = challenge.context
        if asks.service not in SERVICES:
            raise Refused(f"this challenge is for {shown(asks.service)}, not for sudo", ELSEWHERE)
        if asks.user != encoded(target.user):
            raise Refused(
                f"this challenge is for the user {shown(asks.user)}; you are {target.user}",
                ELSEWHERE,
            )
        _check_host(challenge, target)
        check_signer(challenge, target, self.pins)
        return []

    def tell(self, challenge: OpenedChallenge, target: Target) -> None:
        told = dict(describe(challenge, target, self.pins))
        key = "this host's" if challenge.context.host_keys else "this host has none"
        tell("answered {user} at {host} ({service}), until {until}".format(**told))
        tell(f"host key: {key}; signed: {told['signed']}")


def _check_host(challenge: OpenedChallenge, target: Target) -> None:
    """Refuse a challenge of another host: by its host keys, by its name only if it has none."""
    asks = challenge.context
    own = set(host_keys("", []))
    if own and not asks.host_keys:
        raise Refused(
            "this challenge names no host keys, so it may be another host's",
            "as root: trex doctor, about host_keys=",
        )
    if own.isdisjoint(asks.host_keys) if own else asks.host_keys:
        raise Refused(
            f"PASSED ON FROM ANOTHER HOST: the host keys in the challenge of {shown(asks.host)} "
            "are not those of this host",
            ELSEWHERE,
        )
    if not own and asks.host.lower() != encoded(target.hosts[0]):
        raise Refused(
            f"this challenge is for the host {shown(asks.host)}; this is {target.hosts[0]}",
            ELSEWHERE,
        )
