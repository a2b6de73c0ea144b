"""Questions to the user: asked on the terminal, even if standard input is something else."""

from __future__ import annotations

import os
import select
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from trex.cli.errors import CommandError
from trex.cli.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

TERMINAL = "/dev/tty"
LOOK_UP = 1  # seconds, after which Python sees a signal that came just before it would have read


def ask_user(question: str) -> str:
    """Ask `question` and return the line that is typed.

    Raises click.Abort at the end of input, CommandError where nobody can be asked.
    """
    with _answers() as source:
        show(question)
        while not select.select([source], [], [], LOOK_UP)[0]:
            pass
        line = source.readline()
    if not line:
        raise click.Abort
    return line.strip()


def confirm(question: str, refused: str = "Nothing was changed.") -> None:
    """Go on only after a yes. For anything else say what was not done, and raise click.Abort."""
    try:
        if ask_user(f"{question} [y/N] ").lower() in ("y", "yes"):
            return
    except click.Abort:
        say("")  # the end of input has ended no line
    say(refused)
    raise click.Abort


@contextmanager
def _answers() -> Iterator[TextIO]:
    if sys.stdin is not None and sys.stdin.isatty():
        yield sys.stdin
        return
    try:
        descriptor = os.open(TERMINAL, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise CommandError(
            "a question cannot be asked without a terminal", "--yes asks no questions"
        ) from None
    with open(descriptor, encoding="utf-8", errors="replace") as terminal:
        yield terminal
