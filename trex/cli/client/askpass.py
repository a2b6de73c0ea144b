"""The program that ssh asks instead of the user: it answers a challenge and passes on the rest."""

from __future__ import annotations

import os
import signal
import sys

from trex.cli.client.answered import check_new, claim
from trex.cli.client.connection import recorded_keys
from trex.cli.client.foreign import KIND, ask, ask_yes
from trex.cli.client.handover import Handover, handover
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
from trex.cli.client.loginkeys import LoginKeys
from trex.cli.client.message import OpenedChallenge, open_challenge
from trex.cli.client.names import Names
from trex.cli.client.packets import read_packets
from trex.cli.client.paste import find_message, holds_message
from trex.cli.client.pins import Pins
from trex.cli.client.runs import AskedAgain, begin, end_ssh
from trex.cli.client.services import Services
from trex.cli.client.target import Target, asking_ssh, find_target, split_prompt
from trex.cli.client.waiting import Waiting
from trex.cli.errors import CannotDecrypt, Refused
from trex.cli.tell import tell, tell_error
from trex.errors import TrexError
from trex.system.prctl import SET_PDEATHSIG, prctl


def main() -> None:
    """Answer the prompt in the first argument on standard output, or exit with 1."""
    _end_with_ssh()
    try:
        sys.exit(_answer(" ".join(sys.argv[1:])))
    except TrexError as error:
        tell_error(error)
        if isinstance(error, AskedAgain):
            end_ssh()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _answer(prompt: str) -> int:
    before = handover(dict(os.environ))
    asked = split_prompt(prompt) if not os.environ.get(KIND) else None
    if asked and holds_message(asked[2]):
        try:
            sys.stdout.write(f"{_respond(*asked, before)}\n")
        except CannotDecrypt as error:  # the user may have the key on another machine
            tell_error(error)
        else:
            return 0
    return ask(prompt, before)


def _respond(user: str, host: str, question: str, before: Handover) -> str:
    """Return the response to the message in `question`; raise a TrexError if there is none."""
    begin()
    sealed = read_packets(find_message(question))
    # A damaged file is reported before anything is decrypted.
    names, services, pins, login_keys = Names(), Services(), Pins(), LoginKeys()
    keyed = Keyed()
    check_new(sealed)
    target = find_target(user, host, asking_ssh(before.ssh), before.arguments)
    target.host_keys = recorded_keys(os.getppid())
    keys = login_keys.choose(sealed, ssh_name(target))
    waiting = Waiting(f"to answer {target.user} at {target.host}", keys, quiet=target.quiet)
    challenge = open_challenge(sealed, keys, waiting)
    check_service(challenge)
    check_host_key(challenge, target, keyed)
    check_signer(challenge, target, pins)
    open_doubts = list(doubts(challenge, target, names, services, pins))
    if open_doubts:
        _confirm(open_doubts, challenge, target, pins)
    claim(sealed)
    login_keys.remember(ssh_name(target), keys)
    for doubt in open_doubts:
        doubt.remember()
    if is_bound(challenge, target):
        keyed.add(target)
    if not target.quiet:
        _tell_answer(challenge, target, pins)
    return challenge.response


def _tell_answer(challenge: OpenedChallenge, target: Target, pins: Pins) -> None:
    told = dict(describe(challenge, target, pins))
    tell("answered {user} at {host} ({service}), from {from}, until {until}".format(**told))
    tell("host key: {hostkeys}; signed: {signed}".format(**told))
    if challenge.signer and not pins.exact(target.hosts, target.port):
        tell(f"to let no other key sign for it: trex pin {target.host} {challenge.signer}")


def _confirm(
    open_doubts: list[Doubt], challenge: OpenedChallenge, target: Target, pins: Pins
) -> None:
    """Ask the user about each doubt, once. Raises Refused at the first answer that is not yes."""
    for name, value in describe(challenge, target, pins):
        tell(f"{name}: {value}")
    for doubt in open_doubts:
        said = ask_yes(f"{doubt.reason}\n{doubt.question} (yes/no) ")
        if not said:
            hint = "run trex ssh once at a terminal, and answer the question there"
            hint = hint if said is None else ""
            raise Refused(f"not answered. {doubt.reason}", hint)


def _end_with_ssh() -> None:
    """Exit cleanly on a signal, and when ssh has ended, so that the terminal gets its echo back."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    parent = os.getppid()
    if sys.platform == "linux":
        prctl(SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)
