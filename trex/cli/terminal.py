"""What the command says, and where: answers on standard output, all else on standard error.

Nothing else of the command writes to a terminal, so that nothing comes there unescaped: a user's
process or file may have written it, and root reads it.
"""

from __future__ import annotations

import click

from trex.cli.tell import printable
from trex.login.audit import one_line

PROBLEM, BAD_USAGE, INTERRUPTED = 1, 2, 130  # exit statuses; 130 as shells have it for SIGINT


class CommandError(click.ClickException):
    """What went wrong, and where there is one the next thing to do."""

    exit_code = PROBLEM

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: object = None) -> None:  # noqa: ARG002 (click's interface)
        """Print `trex: error: ...`, and then `trex: hint: ...`, each one line whatever is in it."""
        click.secho(f"trex: error: {one_line(self.message)}", fg="red", err=True)
        if self.hint:
            click.secho(f"trex: hint: {one_line(self.hint)}", err=True)


def say(text: str) -> None:
    """Tell a person something that is no answer: standard error, so that answers can be piped."""
    click.echo(printable(text), err=True)


def show(question: str) -> None:
    """Show a question; what is typed comes behind it."""
    click.echo(printable(question), nl=False, err=True)


def answer(text: str, colour: str | None = None) -> None:
    """Tell what was asked for: standard output."""
    shown = printable(text)
    click.echo(click.style(shown, fg=colour) if colour else shown)
