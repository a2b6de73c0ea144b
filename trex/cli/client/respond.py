"""`trex respond`: the response to a pasted challenge."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from typing import TYPE_CHECKING, Any

import click

from trex.cli.client.answered import check_new, claim, release
from trex.cli.client.answering import Answering, ask_at_terminal
from trex.cli.client.clipboard import copy
from trex.cli.client.judge import check_pasted, describe
from trex.cli.client.knownhosts import Known, look_up
from trex.cli.client.launch import name_terminal
from trex.cli.client.loginkeys import PASTED, LoginKeys, own_of
from trex.cli.client.message import open_challenge
from trex.cli.client.names import Names
from trex.cli.client.packets import read_messages
from trex.cli.client.paste import MAX_TEXT
from trex.cli.client.pins import Pins
from trex.cli.client.services import SSHD
from trex.cli.client.target import ANYWHERE, named_target
from trex.cli.client.waiting import Waiting
from trex.cli.errors import CommandError, PasteError
from trex.cli.terminal import answer, say

if TYPE_CHECKING:
    from trex.cli.client.context import Context
    from trex.cli.client.packets import Sealed
    from trex.cli.client.target import Target

LOCAL, CHARACTERS = 3, 6  # indexes in a terminal's settings (tcgetattr in termios(3))
DISABLED = b"\0"  # for a control character (_POSIX_VDISABLE)
QUIET_SECONDS = 0.3  # without a byte before a paste counts as complete
EXAMPLES = """\b
Examples:
  trex respond                 paste the prompt, then Enter and Ctrl-D
  trex respond --copy          the same, and paste the response at once
  wl-paste | trex respond      take the prompt from the clipboard
  trex respond prompt.txt
  trex respond --for alice@server.example.org prompt.txt
"""


@click.command(epilog=EXAMPLES, short_help="Print the response to a challenge that you paste.")
@click.argument("file", default="-")
@click.option("--copy", "to_clipboard", is_flag=True, help="Put the response on the clipboard.")
@click.option("--for", "whom", metavar="USER@HOST", help="Answer only a login there, as trex ssh.")
@click.option(
    "--host-key",
    metavar="SHA256:...",
    help="The connection's key, as ssh-keygen -l prints it.",
)
def command(file: str, *, to_clipboard: bool, whom: str | None, host_key: str | None) -> None:
    """Decrypt the challenge in FILE, or in what you paste, and print the response.

    Paste the whole prompt as it is. What the message says about itself is shown first: is this the
    host that you log in to? Nothing is shown of a message that is not a challenge from Trex.

    With --for it is answered only if trex ssh would answer it there, so a program can use the
    response: no other host's, no other service's.
    """
    if host_key is not None and not whom:
        raise click.UsageError("--host-key goes with --for")
    if whom:
        target = _target(whom, host_key)
        messages = read_messages(_read(file))
        name_terminal(os.environ)
        answering = Answering(ask_at_terminal)
        _give(answering.respond(messages, lambda: target), answering.sealed, to_clipboard)
    else:
        _respond_to_paste(file, to_clipboard=to_clipboard)


def _target(whom: str, host_key: str | None) -> Target:
    user, at, host = whom.rpartition("@")
    if not at:
        raise click.UsageError(f"--for: expected USER@HOST, found {whom!r}")
    return named_target(user, host, host_key)


def _respond_to_paste(file: str, *, to_clipboard: bool) -> None:
    pins, names = Pins(), Names()
    login_keys = LoginKeys(ask_at_terminal)
    messages = read_messages(_read(file))
    check_new(*messages)
    name_terminal(os.environ)
    keys = login_keys.choose(messages, PASTED)
    sealed = own_of(messages, keys)
    challenge = open_challenge(sealed, keys, Waiting("to answer what you pasted", keys))
    told = dict(describe(challenge, ANYWHERE, pins))
    known = _known_hosts(challenge.context, names)
    told["hostkeys"] = str(known) if challenge.context.host_keys else "none named"
    for name, value in told.items():
        say(f"{name:8} {value}")
    check_pasted(challenge, names, pins, known.names)
    if challenge.context.service != SSHD:
        service = told["service"]
        who = "did one of you two start" if len(messages) > 1 else "was it you who started"
        say(f"This is for {service}, not for a login by ssh: {who} {service}?")
    claim(sealed)
    login_keys.remember(PASTED, keys)
    if len(messages) > 1:
        say("This login takes two people: whoever is at its prompt types both responses.")
    _give(challenge.response, sealed, to_clipboard)


def _give(response: str, sealed: Sealed, to_clipboard: bool) -> None:  # noqa: FBT001 (the option's value)
    if to_clipboard:
        say(f"The response is on the clipboard ({_copy(response, sealed)}).")
    else:
        answer(response)


def _known_hosts(context: Context, names: Names) -> Known:
    """Return under which names the host keys in a challenge are known for ssh."""
    return look_up(context.host_keys, [context.host.lower(), *names.hosts_of(context.name)])


def _copy(response: str, sealed: Sealed) -> str:
    """Copy the response. If that fails, the challenge can still be answered in another way."""
    try:
        return copy(response)
    except CommandError:
        release(sealed)
        raise


def _read(file: str) -> str:
    """Return the text of a file, or of standard input. Raises PasteError."""
    try:
        if file != "-":
            with open(file, "rb") as stream:
                content = stream.read(MAX_TEXT + 1)
        elif sys.stdin.isatty():
            content = _read_paste()
        else:
            content = sys.stdin.buffer.read(MAX_TEXT + 1)
    except OSError as error:
        raise PasteError(f"{file}: {error.strerror}") from None
    return content.decode("utf-8", "replace")


def _read_paste() -> bytes:
    """Return what is pasted at the terminal, and leave nothing of it for the shell to run.

    A malicious server may put a Ctrl-D, Ctrl-Z or Ctrl-C into its prompt, followed by a command.
    """
    terminal = sys.stdin.fileno()
    saved = termios.tcgetattr(terminal)
    quiet = termios.tcgetattr(terminal)
    for key in (termios.VSUSP, termios.VQUIT):
        quiet[CHARACTERS][key] = DISABLED
    say("Paste the prompt with the message, then press Enter and Ctrl-D:")
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        return sys.stdin.buffer.read(MAX_TEXT + 1)
    finally:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            _discard(terminal, quiet)
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, saved)
            signal.signal(signal.SIGINT, before)


def _discard(terminal: int, settings: list[Any]) -> None:
    """Read until nothing more arrives: a terminal delivers a long paste in parts."""
    settings[LOCAL] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(terminal, termios.TCSADRAIN, settings)
    while select.select([terminal], [], [], QUIET_SECONDS)[0] and os.read(terminal, MAX_TEXT):
        pass
