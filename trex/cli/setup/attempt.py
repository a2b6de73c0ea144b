"""`trex try`: one login against the real PAM stack, without a session.

pamtester is the PAM client. libpam inside this command would not do: pam_python.so would use the
Python that runs here, not the one that it starts in sshd.
"""

from __future__ import annotations

import os
import subprocess

import click

from trex.cli.completing import accounts, services
from trex.cli.delegate import PATH
from trex.cli.errors import PROBLEM, CommandError
from trex.cli.terminal import say
from trex.errors import UserUnknown
from trex.system.privilege import find_account

PAMTESTER = "/usr/bin/pamtester"
EPILOG = """\b
Examples:
  sudo trex try alice
  sudo trex try alice --service sudo

\b
Exit status:
  0  PAM let the user in
  1  PAM refused, or could not be asked
"""


@click.command("try", epilog=EPILOG, short_help="Log a user in, up to the session.")
@click.argument("user", shell_complete=accounts)
@click.option(
    "--service",
    metavar="NAME",
    default="sshd",
    show_default=True,
    help="Which PAM service.",
    shell_complete=services,
)
def command(user: str, service: str) -> int:
    """Log USER in as far as PAM is concerned, in this terminal.

    The whole stack of the service runs (authentication, then account), with its real modules. No
    session is opened and no program is started. sshd's own part, the SSH key, is left out.
    """
    if os.geteuid() != 0:
        raise CommandError(
            "only root can do this: PAM is called as sshd calls it", f"sudo trex try {user}"
        )
    if not os.path.exists(PAMTESTER):
        raise CommandError("pamtester is not installed", "apt install pamtester")
    try:
        name = find_account(user).name
    except UserUnknown as error:
        raise CommandError(f"{user}: {error}", "use a name that `id NAME` knows") from None
    if "/" in service or service.startswith(("-", ".")) or name.startswith("-"):
        raise CommandError(f"expected a PAM service, found {service}", "ls /etc/pam.d")
    done = subprocess.run(  # noqa: S603 (an absolute path and a list)
        [PAMTESTER, service, name, "authenticate", "acct_mgmt"],
        check=False, env={"PATH": PATH, "TERM": os.environ.get("TERM", "dumb")},
    )  # fmt: skip
    if done.returncode != 0:
        say("trex: refused; the log says why: journalctl --facility=authpriv --grep=pam_trex")
        return PROBLEM
    say("trex: accepted")
    return 0
