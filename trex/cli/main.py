"""The group of commands, their errors and how a run ends."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from trex import __version__
from trex.cli.terminal import BAD_USAGE, INTERRUPTED, CommandError
from trex.errors import TrexError

# Name of the command: module of this package, in the order of the help. Each module has `command`.
COMMANDS: dict[str, str] = {
    "respond": "client.respond",
    "ssh": "client.ssh",
    "pin": "client.pin",
    "pins": "client.pinned",
    "unpin": "client.unpin",
    "enroll": "setup.enroll",
    "show": "setup.show",
    "remove": "setup.remove",
    "doctor": "doctor.command",
    "try": "setup.attempt",
    "totp": "setup.totp",
}


class _Commands(click.Group):
    """Commands that are imported when they are called: `trex ssh` starts at every `git pull`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's interface)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"trex.cli.{COMMANDS[cmd_name]}").command
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trex", message="%(prog)s %(version)s")
def trex() -> None:
    """Log in with your OpenPGP key, and set up others to do so."""


def main() -> None:
    """Run the command line and exit with 0, with 1 for an error, with 2 for wrong usage."""
    try:
        sys.exit(trex.main(standalone_mode=False) or 0)
    except click.UsageError as error:
        CommandError(" ".join(error.format_message().split()), _usage_hint(error)).show()
        sys.exit(BAD_USAGE)
    except click.ClickException as error:
        known = isinstance(error, CommandError)
        (error if known else CommandError(error.format_message())).show()
        sys.exit(error.exit_code)
    except TrexError as error:
        CommandError(str(error), getattr(error, "hint", "")).show()
        sys.exit(CommandError.exit_code)
    except ModuleNotFoundError as error:
        library = str(error.name).partition(".")[0]
        if library == "trex":
            raise
        hint = f"Debian: apt install python3-{library}; or pip install '.[page,totp]'"
        CommandError(f"Python's library {library} is not installed", hint).show()
        sys.exit(CommandError.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)


def _usage_hint(error: click.UsageError) -> str:
    return f"{error.ctx.command_path} --help" if error.ctx else "trex --help"
