"""A command whose arguments are another program's."""

from __future__ import annotations

import click


class PassesAll(click.Command):
    """Everything after the command's name is the program's, `--` included, except --help first."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click.Command."""
        if args[:1] == ["--help"]:
            return super().parse_args(ctx, args)
        ctx.params = {"arguments": tuple(args)}
        return []
