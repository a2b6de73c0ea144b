"""Questions to whoever sits there: asked on the terminal, whatever standard input is used for."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from trex.cli.terminal import CommandError, show

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

TERMINAL = "/dev/tty"


def is_anybody_there() -> bool:
    """Tell whether a question could be answered."""
    try:
        with _answers():
            return True
    except CommandError:
        return False


def ask(question: str) -> str:
    """Return the line that is typed after `question`.

    Raises click.Abort at the end of input, CommandError where nobody can be asked.
    """
    with _answers() as source:
        show(question)
        line = source.readline()
    if not line:
        raise click.Abort
    return line.strip()


def confirm(question: str) -> None:
    """Go on only after a yes. Raises click.Abort for anything else."""
    if ask(f"{question} [y/N] ").lower() not in ("y", "yes"):
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
            "there is a question, and no terminal to ask it on", "--yes goes on without questions"
        ) from None
    with open(descriptor, encoding="utf-8", errors="replace") as terminal:
        yield terminal
