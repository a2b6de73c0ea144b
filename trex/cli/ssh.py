"""`trex ssh`: the system's ssh, with Trex answering its own challenges."""

from __future__ import annotations

import os
import shutil
import sys
from typing import NoReturn

import click

from trex.cli.errors import ClientError
from trex.cli.gpg import name_terminal
from trex.cli.handover import new_handover
from trex.cli.terminal import CommandError


class _AllToSsh(click.Command):
    """Everything after `trex ssh` is ssh's, `--` included; but ssh knows no --help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["--help"]:
            return super().parse_args(ctx, args)
        ctx.params = {"arguments": tuple(args)}
        return []


@click.command(
    cls=_AllToSsh, options_metavar="", context_settings={"help_option_names": ["--help"]}
)
@click.argument("arguments", metavar="[SSH ARGUMENTS]...", nargs=-1)
def command(arguments: tuple[str, ...]) -> None:
    """Run ssh, and answer the challenge through gpg-agent.

    A challenge is answered only if it names the user and the host that ssh goes to, or you
    confirmed that name once; and if a key is pinned for that host, only if this key signed it.
    Every other question of ssh's reaches you as if Trex were not there.

    \b
    Examples:
      trex ssh alice@server.example.org
      GIT_SSH_COMMAND="trex ssh" git clone server.example.org:project.git
      rsync -e "trex ssh" -a photos/ server.example.org:photos/
      scp -S trex-ssh file server.example.org:
      sftp -S trex-ssh server.example.org
    """  # noqa: D301 (\b is click's)
    run_ssh(list(arguments))


def main() -> None:
    """Be `trex-ssh`: a path without arguments, as scp and sftp want it."""
    try:
        run_ssh(sys.argv[1:])
    except ClientError as error:
        CommandError(str(error), error.hint).show()
        sys.exit(CommandError.exit_code)


def run_ssh(arguments: list[str]) -> NoReturn:
    """Become ssh: its exit status, its signals and its terminal are its own."""
    ssh = shutil.which("ssh")
    if not ssh:
        raise ClientError("there is no ssh on PATH", "install OpenSSH (Debian: openssh-client)")
    environment = dict(os.environ)
    name_terminal(environment)
    new_handover(os.path.abspath(ssh), arguments, environment).put_into(environment)
    # By this name, because ssh starts itself again by the name it was called by (ProxyJump).
    os.execve(ssh, ["ssh", *arguments], environment)  # noqa: S606 (no shell is the point)
