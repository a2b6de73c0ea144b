"""The program that ssh asks in the user's place: a challenge it answers, all else it passes on."""

from __future__ import annotations

import os
import signal
import sys

from trex.cli.answered import claim
from trex.cli.errors import CannotDecrypt, Refused
from trex.cli.handover import Handover, handover
from trex.cli.judge import check_signer, describe, doubt, ssh_name
from trex.cli.message import Message, open_message
from trex.cli.names import Names
from trex.cli.paste import holds_message, read_message
from trex.cli.pins import Pins
from trex.cli.question import KIND, ask, ask_yes
from trex.cli.target import Target, find_target, split_prompt
from trex.cli.tell import tell, tell_error
from trex.errors import TrexError
from trex.prctl import SET_PDEATHSIG, prctl


def main() -> None:
    """Answer the prompt in the first argument on standard output, or exit with 1."""
    _end_with_ssh()
    try:
        sys.exit(_answer(" ".join(sys.argv[1:])))
    except TrexError as error:
        tell_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _answer(prompt: str) -> int:
    before = handover(dict(os.environ))
    asked = split_prompt(prompt) if not os.environ.get(KIND) else None
    if asked and holds_message(asked[2]):
        try:
            sys.stdout.write(f"{_respond(*asked, before)}\n")
        except CannotDecrypt as error:  # the user may have the key elsewhere
            tell_error(error)
        else:
            return 0
    return ask(prompt, before)


def _respond(user: str, host: str, question: str, before: Handover) -> str:
    """Return the response to the message in `question`; raise a TrexError where there is none."""
    message = read_message(question)
    names, pins = Names(), Pins()  # a damaged file is found before anything is decrypted
    target = find_target(user, host, before.ssh, before.arguments)
    challenge = open_message(message)
    check_signer(challenge, target.names, pins)
    reason = doubt(challenge, target, names, pins)
    if reason:
        _confirm(reason, challenge, target, pins)
    claim(message)
    if reason:
        names.confirm(ssh_name(target), challenge.context.name)
    told = dict(describe(challenge, pins, target.names))
    tell("answered {user} at {host} ({service}), from {from}, until {until}".format(**told))
    tell("signed: {signed}".format(**told))
    if challenge.signer and not pins.expected(target.names):
        tell(f"to let no other key sign for it: trex pin {target.host} {challenge.signer}")
    return challenge.response


def _confirm(reason: str, challenge: Message, target: Target, pins: Pins) -> None:
    """Ask the user once whether the names mean the same. Raises Refused unless he says yes."""
    for name, value in describe(challenge, pins, target.names):
        tell(f"{name}: {value}")
    question = (
        f"{reason}\nIf these are not the same, another server's challenge was passed on to you, "
        "and the answer would\nlet somebody else log in there. Are they the same? (yes/no) "
    )
    if not ask_yes(question):
        hint = "run trex ssh once at a terminal, and say there that they are the same"
        raise Refused(f"not answered. {reason}", hint)


def _end_with_ssh() -> None:
    """End in order when told to, also where ssh has gone: a terminal gets its echo back."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    parent = os.getppid()
    if sys.platform == "linux":
        prctl(SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)
