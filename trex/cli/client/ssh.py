"""`trex ssh`: the system's ssh, with Trex answering Trex's challenges."""

from __future__ import annotations

import click

from trex.cli.client import completing
from trex.cli.client.launch import run_ssh
from trex.cli.client.passing import PassesAll

EXAMPLES = """\b
Examples:
  trex ssh alice@server.example.org
  GIT_SSH_COMMAND="trex ssh" git clone server.example.org:project.git
  rsync -e "trex ssh" -a photos/ server.example.org:photos/
  scp -S trex-ssh file server.example.org:
  sftp -S trex-ssh server.example.org
"""


@click.command(
    epilog=EXAMPLES,
    short_help="Run ssh, and answer its challenge.",
    cls=PassesAll,
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
