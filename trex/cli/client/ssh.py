"""`trex ssh`: the system's ssh, with Trex answering Trex's challenges."""

from __future__ import annotations

import click

from trex.cli.client import completing
from trex.cli.client.launch import run_ssh

EXAMPLES = """\b
Examples:
  trex ssh alice@server.example.org
  GIT_SSH_COMMAND="trex ssh" git clone server.example.org:project.git
  rsync -e "trex ssh" -a photos/ server.example.org:photos/
  scp -S trex-ssh file server.example.org:
  sftp -S trex-ssh server.example.org
"""


class _AllToSsh(click.Command):
    """Everything after `trex ssh` is ssh's, `--` included; but ssh knows no --help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["--help"]:
            return super().parse_args(ctx, args)
        ctx.params = {"arguments": tuple(args)}
        return []


@click.command(
    epilog=EXAMPLES,
    short_help="Run ssh, and answer its challenge.",
    cls=_AllToSsh,
    options_metavar="",
    context_settings={"help_option_names": ["--help"]},
)
@click.argument(
    "arguments", metavar="[SSH ARGUMENTS]...", nargs=-1, shell_complete=completing.hosts
)
def command(arguments: tuple[str, ...]) -> None:
    """Run ssh, and answer the challenge through gpg-agent.

    A challenge is answered only if it names the service sshd, the user, and the host key of this
    connection; if it names no host keys, the host that ssh goes to. You can confirm other names
    once. If a key is pinned for that host, this key must have signed it. One run is one attempt
    and answers one challenge. All other questions from ssh reach you as if Trex were not there.
    """
    run_ssh(list(arguments))
