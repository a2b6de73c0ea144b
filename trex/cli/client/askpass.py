"""The program that ssh asks instead of the user: it answers a challenge and passes on the rest.

It starts at each login. So ssh and gpg are asked first, and work while the rest is imported.
"""

from __future__ import annotations

import os
import sys

from trex.cli.client.armor import plain_message
from trex.cli.client.gpg import UserGpg
from trex.cli.client.handover import KIND, Handover, arguments_of_ssh, handover
from trex.cli.client.openssh import Questions
from trex.cli.client.target import Target, asking_ssh, read_target, split_prompt
from trex.cli.errors import AskedAgain, CannotDecrypt
from trex.cli.tell import tell_error
from trex.errors import TrexError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIGHUP, SIGTERM, signal
else:  # signal.py takes 3 ms to build enumerations
    from _signal import SIGHUP, SIGTERM, signal

PARENT = os.getppid()


def main() -> None:
    """Answer the prompt in the first argument on standard output, or exit with 1."""
    for number in (SIGTERM, SIGHUP):  # a clean end, so that the terminal gets its echo back
        signal(number, lambda number, _: sys.exit(128 + number))
    try:
        sys.exit(_answer(" ".join(sys.argv[1:])))
    except TrexError as error:
        tell_error(error)
        if isinstance(error, AskedAgain):
            from trex.cli.client.runs import end_ssh

            end_ssh()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _answer(prompt: str) -> int:
    before = handover(dict(os.environ))
    asked = split_prompt(prompt) if not os.environ.get(KIND) else None
    if asked and _holds_message(asked[2]):
        try:
            sys.stdout.write(f"{_respond(*asked, before)}\n")
        except CannotDecrypt as error:  # the user may have the key on another machine
            tell_error(error)
        else:
            return 0
    from trex.cli.client.foreign import ask

    _end_with_ssh()
    return ask(prompt, before)


def _holds_message(question: str) -> bool:
    if plain_message(question):
        return True
    from trex.cli.client.paste import holds_message

    return holds_message(question)


def _respond(user: str, host: str, question: str, before: Handover) -> str:
    """Return the response to the message in `question`; raise a TrexError if there is none."""
    if before.pid != PARENT:  # `trex ssh` has done so
        from trex.cli.client.launch import name_terminal

        name_terminal(os.environ)
    listing = UserGpg().start_listing()
    known = _is_told(before)
    ssh = None if known else Questions(asking_ssh(before.ssh), arguments_of_ssh(before))
    try:
        from trex.cli.client.answering import Answering
        from trex.cli.client.connection import recorded_keys
        from trex.cli.client.packets import read_messages
        from trex.cli.client.runs import SSH, begin

        begin(SSH)
        messages = read_messages(question)

        def find() -> Target:
            target = read_target(user, host, *(ssh.answers() if ssh else before.told))
            target.host_keys = recorded_keys(PARENT, is_ours=before.pid == PARENT)
            return target

        if len(messages) > 1:
            from trex.cli.client.second import respond_with_second

            return respond_with_second(
                question, lambda: Answering(_ask).respond(messages, find, listing, _end_with_ssh),
                _end_with_ssh,
            )  # fmt: skip
        return Answering(_ask).respond(messages, find, listing, _end_with_ssh)
    finally:
        listing.end()
        if ssh:
            ssh.end()


def _is_told(before: Handover) -> bool:
    """Return whether the ssh that asks is the one that `trex ssh` has asked about itself.

    It is another one if it is a jump host's, or if a script was in its place on PATH.
    """
    try:
        asks, asked = os.stat(f"/proc/{PARENT}/exe"), os.stat(before.ssh)
    except OSError:
        return False
    return before.pid == PARENT and os.path.samestat(asks, asked)


def _ask(question: str) -> bool | None:
    from trex.cli.client.answering import ask_at_terminal

    _end_with_ssh()
    return ask_at_terminal(question)


def _end_with_ssh() -> None:
    """Have the kernel end this process when ssh has ended: from here on it may wait for long."""
    if sys.platform == "linux":
        from trex.system.prctl import SET_PDEATHSIG, prctl

        prctl(SET_PDEATHSIG, SIGTERM)
        if os.getppid() != PARENT:
            sys.exit(1)
