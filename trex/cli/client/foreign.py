"""Questions that are not Trex's, asked as ssh would ask them without Trex.

The rules are those of OpenSSH's readpass.c and of ssh(1), ENVIRONMENT. In a session that `trex
setup` has prepared, the askpass program is also started by `ssh-add` and `ssh-keygen`, which may
read standard input, and by git for a name and a password over HTTPS (gitcredentials(7)).
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trex.cli.client.child import LOOK_UP
from trex.cli.client.handover import KIND
from trex.cli.client.processes import program_name
from trex.cli.client.target import split_prompt
from trex.cli.errors import CommandError
from trex.cli.programs import find_program
from trex.cli.tell import printable, tell
from trex.errors import cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.cli.client.handover import Handover

WAYLAND = "WAYLAND_DISPLAY"
DEFAULT_ASKPASS = "ssh-askpass"
MAX_ANSWER = 1024  # bytes, as in readpass.c
MAX_SHOWN = 100  # characters of a prompt, in an error
# ssh's own questions about a host key. ssh does not tell an askpass program whether to echo, so
# only the answers to these are echoed.
GIT = "git"  # git, git-remote-https, git-lfs: it echoes a name, and would not look for a display
INPUT = 0
GIT_ASKS, NO = "GIT_TERMINAL_PROMPT", ("0", "false", "no", "off", "")  # git_parse_maybe_bool
READ_INPUT = ("ssh-add", "ssh-keygen")  # RP_ALLOW_STDIN in readpass.c
YES_OR_NO = re.compile(r"\(yes/no(/\[fingerprint\])?\)\? $|^Please type 'yes'")
NAME = re.compile(r"^Username for ")


def ask(prompt: str, before: Handover) -> int:
    """Ask `prompt` as ssh would, print the answer on standard output, and return the exit status.

    If the user's own askpass program has to ask, this process becomes that program.
    """
    has_terminal = is_at_terminal()
    asking = program_name(os.getppid())
    if asking.startswith(GIT):
        return _ask_for_git(prompt, before, has_terminal=has_terminal)
    may_read_input = asking in READ_INPUT
    at_terminal = os.isatty(INPUT) if may_read_input else has_terminal
    if _wants_program(before, has_terminal=at_terminal):
        _become_program(prompt, before)
    kind = os.environ.get(KIND, "")
    if not has_terminal and kind == "none":
        tell(_beginning(prompt))
        return 0
    if not has_terminal and may_read_input and not kind:
        return _print(_read_input())
    if not has_terminal:
        raise CommandError(
            f"there is no terminal to ask at: {_beginning(prompt)}",
            "run it at a terminal, or set SSH_ASKPASS to a program that asks",
        )
    if kind == "none":
        with _terminal() as terminal:
            os.write(terminal, f"{printable(prompt)}\n".encode())
        return 0
    if kind == "confirm":
        return 0 if ask_yes(f"{prompt.rstrip()} (yes/no) ") else 1
    echo = not split_prompt(prompt) and bool(YES_OR_NO.search(prompt))
    return _print(read_line(prompt, echo=echo))


def ask_yes(question: str) -> bool | None:
    """Return whether the user types `yes` at the terminal, None if there is no terminal."""
    try:
        return read_line(question, echo=True) == b"yes"
    except OSError:
        return None


def read_line(prompt: str, *, echo: bool) -> bytes | None:
    """Return a line that the user types at the terminal, None at the end of input."""
    with _terminal() as terminal:
        saved = termios.tcgetattr(terminal)
        quiet = termios.tcgetattr(terminal)
        if not echo:
            quiet[3] &= ~(termios.ECHO | termios.ECHONL)
        try:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
            os.write(terminal, printable(prompt).encode())
            line = _typed(terminal)
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, saved)
            if not echo:
                os.write(terminal, b"\n")
    return line.rstrip(b"\r\n") if line else None


def _typed(terminal: int) -> bytes:
    """Return the line that is typed.

    Python sees a signal that comes between two calls of its own only when the next one ends, and
    that may be a read(2) after which nobody types: this process would outlive the ssh that asks.
    """
    poller = select.poll()
    poller.register(terminal, select.POLLIN)
    while not poller.poll(LOOK_UP * 1000):
        pass
    return os.read(terminal, MAX_ANSWER)


def _ask_for_git(prompt: str, before: Handover, *, has_terminal: bool) -> int:
    """Ask as git would: the user's own program, or else the terminal, or nobody."""
    if before.askpass:
        _become_program(prompt, before)
    if not has_terminal or os.environ.get(GIT_ASKS, "1").lower() in NO:
        return 1  # git then says why it cannot ask
    return _print(read_line(prompt, echo=bool(NAME.search(prompt))))


def _print(answer: bytes | None) -> int:
    if answer is None:
        return 1
    sys.stdout.buffer.write(answer + b"\n")
    sys.stdout.buffer.flush()
    return 0


def _read_input() -> bytes | None:
    """Return a line of standard input, and nothing of what follows it: that is the program's."""
    line = b""
    while len(line) < MAX_ANSWER and not line.endswith(b"\n"):
        more = os.read(INPUT, 1)
        if not more:
            break
        line += more
    return line.rstrip(b"\r\n") if line else None


def _beginning(prompt: str) -> str:
    """Return enough of a prompt to recognize it; a server may have written it."""
    return cut(" ".join(prompt.split()), MAX_SHOWN)


def _wants_program(before: Handover, *, has_terminal: bool) -> bool:
    """Return whether ssh would ask through an askpass program."""
    display = bool(os.environ.get("DISPLAY"))
    if not display and os.environ.get(WAYLAND):
        display = _asking_program_has(WAYLAND)
    require = before.require.lower()
    if require == "never":
        return False
    return require == "force" or (display and (require == "prefer" or not has_terminal))


def _asking_program_has(word: str) -> bool:
    """Return whether the program that asks looks at this variable: OpenSSH 9.2 does not yet."""
    try:
        with open(f"/proc/{os.getppid()}/exe", "rb") as program:
            return word.encode() in program.read()
    except OSError:
        return True


def _become_program(prompt: str, before: Handover) -> None:
    """Exec the user's askpass program. Raises CommandError if it cannot be run."""
    program = before.askpass or find_program(DEFAULT_ASKPASS) or DEFAULT_ASKPASS
    environment = dict(os.environ)
    before.take_out_of(environment)
    try:
        os.execvpe(program, [program, prompt], environment)  # noqa: S606 (no shell is the point)
    except OSError as error:
        raise CommandError(f"{program}: {error.strerror}") from None


def is_at_terminal() -> bool:
    """Tell whether there is a terminal to ask at."""
    try:
        with _terminal():
            return True
    except OSError:
        return False


@contextmanager
def _terminal() -> Iterator[int]:
    descriptor = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
