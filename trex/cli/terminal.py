"""Output of the command: answers on standard output, everything else on standard error.

No other module of the command writes to a terminal, so nothing reaches it unescaped: the text may
come from a user's process or file, and root reads it.
"""

from __future__ import annotations

import shutil
import sys
import textwrap

import click

from trex.cli.tell import printable
from trex.errors import one_line

LEAST_WIDTH = 40  # columns


def folded(text: str, indent: str = "") -> str:
    """Return a sentence in lines as wide as the terminal; a program gets it in one.

    Those after the first are indented further. A longer word stays whole: it may be a path.
    """
    return indent + text if not (width := _width()) else "\n".join(_lines(text, indent, width))


def command_lines(command: str, before: str = "") -> str:
    """Return a command after the text `before`, in lines that a shell joins again.

    One with quotes stays in one line, because a line end between them would be part of a word.
    """
    width = _width()
    if not width or any(quote in command for quote in "'\""):
        return before + command
    return " \\\n".join(_lines(command, before, width - len(" \\")))


def _width() -> int:
    """Return the terminal's columns; 0 where a program reads what is printed."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return 0
    return max(shutil.get_terminal_size().columns, LEAST_WIDTH)


def _lines(text: str, before: str, width: int) -> list[str]:
    further = " " * (len(before) - len(before.lstrip()) + 2)
    return textwrap.wrap(
        text, width, initial_indent=before, subsequent_indent=further, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def show_error(message: str, hint: str = "") -> None:
    """Print `trex: error: ...`, then `trex: hint: ...`, each on one line."""
    click.secho(f"trex: error: {one_line(message)}", fg="red", err=True)
    if hint:
        click.secho(f"trex: hint: {one_line(hint)}", err=True)


def say(text: str) -> None:
    """Print a message on standard error, so that answers can be piped."""
    click.echo(printable(text), err=True)


def show(question: str) -> None:
    """Print a question without a line end: the answer is typed after it."""
    click.echo(printable(question), nl=False, err=True)


def answer(text: str, colour: str | None = None) -> None:
    """Print what was asked for, on standard output."""
    shown = printable(text)
    click.echo(click.style(shown, fg=colour) if colour else shown)
