"""The group of commands, their errors and how a run ends."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module

import click

from trex import __version__
from trex.cli.errors import BAD_USAGE, INTERRUPTED, PROBLEM, CommandError
from trex.cli.terminal import show_error
from trex.errors import TrexError

# Name of the command: module of this package and function, in the order of the help.
COMMANDS: dict[str, str] = {
    "setup": "workstation.setup:command",
    "keygen": "workstation.keygen:command",
    "renew": "workstation.renew:command",
    "copy-id": "workstation.copyid:command",
    "respond": "client.respond:command",
    "ssh": "client.ssh:command",
    "sudo": "client.sudo:command",
    "pin": "client.pin:pin",
    "pins": "client.pin:pins",
    "unpin": "client.pin:unpin",
    "name": "client.name:name",
    "names": "client.name:names",
    "unname": "client.name:unname",
    "enroll": "setup.enroll:command",
    "show": "setup.show:command",
    "remove": "setup.remove:command",
    "list": "accounts.listing:command",
    "revoke": "accounts.revoke:command",
    "grace": "accounts.grace:command",
    "doctor": "doctor.command:command",
    "try": "setup.attempt:command",
    "totp": "setup.totp:command",
    "sms": "setup.sms:command",
    "recovery": "setup.recovery:command",
    "activate": "activation.activate:command",
    "confirm": "activation.confirm:command",
    "deactivate": "activation.deactivate:command",
    "manual": "manual:manual",
    "completion": "manual:completion",
}


class _Commands(click.Group):
    """Commands that are imported when they are called: `trex ssh` starts at every `git pull`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's interface)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, function = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"trex.cli.{module}"), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Propose what was probably meant, where click only says that there is no such command."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(args[0], COMMANDS)
            known = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"No such command '{args[0]}'.{known}", ctx)
        return super().resolve_command(ctx, args)


EPILOG = """\b
Examples:
  trex ssh alice@server.example.org    log in there
  trex copy-id server.example.org      enrol your key there
  trex activate sshd --dry-run         on a server: see what would change
  trex doctor                          find what would make a login fail
"""


@click.command(
    cls=_Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="trex", message="%(prog)s %(version)s")
def trex() -> None:
    """Log in with your OpenPGP key, and set up others to do so."""


def main() -> None:
    """Run the command line and exit with 0, with 1 for an error, with 2 for wrong usage."""
    try:
        sys.exit(trex.main(standalone_mode=False) or 0)
    except click.UsageError as error:
        show_error(" ".join(error.format_message().split()), _usage_hint(error))
        sys.exit(BAD_USAGE)
    except click.ClickException as error:
        show_error(error.format_message())
        sys.exit(error.exit_code)
    except CommandError as error:
        show_error(str(error), error.hint)
        sys.exit(error.exit_code)
    except TrexError as error:
        show_error(str(error))
        sys.exit(PROBLEM)
    except ModuleNotFoundError as error:
        library = str(error.name).partition(".")[0]
        if library == "trex":
            raise
        hint = f"Debian: apt install python3-{library}; or pip install '.[page,totp]'"
        show_error(f"Python's library {library} is not installed", hint)
        sys.exit(PROBLEM)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)


def _usage_hint(error: click.UsageError) -> str:
    return f"{error.ctx.command_path} --help" if error.ctx else "trex --help"
