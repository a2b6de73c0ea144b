"""What the command says, and where: answers on standard output, all else on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trex.cli.tell import printable

if TYPE_CHECKING:
    from rich.console import Console

PROBLEM, BAD_USAGE, INTERRUPTED = 1, 2, 130  # exit statuses; 130 as shells have it for SIGINT


class CommandError(click.ClickException):
    """What went wrong, and where there is one the next thing to do."""

    exit_code = PROBLEM

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: object = None) -> None:  # noqa: ARG002 (click's interface)
        """Print `trex: error: ...`, and then `trex: hint: ...`; paths in them may be a user's."""
        click.secho(f"trex: error: {printable(self.message)}", fg="red", err=True)
        if self.hint:
            click.secho(f"trex: hint: {printable(self.hint)}", err=True)


def say(text: str) -> None:
    """Tell a person something that is no answer: standard error, so that answers can be piped."""
    click.echo(text, err=True)


def console() -> Console:
    """Return rich's console on standard error, for tables that are no answer."""
    from rich.console import Console  # 80 ms, which `trex ssh` need not pay

    return Console(stderr=True, highlight=False)
