"""Output of the command: answers on standard output, everything else on standard error.

No other module of the command writes to a terminal, so nothing reaches it unescaped: the text may
come from a user's process or file, and root reads it.
"""

from __future__ import annotations

import click

from trex.cli.tell import printable
from trex.errors import one_line


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
