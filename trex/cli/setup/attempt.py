"""`trex try`: one login against the real PAM stack, without a session.

As root, pamtester is the PAM client. libpam inside this command would not do: pam_python.so would
use the Python that runs here, not the one that it starts in sshd. Users have sudo or su ask for
them: only a program of root's reads the records of central mode.
"""

from __future__ import annotations

import os
import shlex
import subprocess

import click

from trex.cli.completing import accounts, services
from trex.cli.delegate import PATH
from trex.cli.errors import PROBLEM, CommandError
from trex.cli.location import own_name
from trex.cli.terminal import say
from trex.errors import UserUnknown
from trex.system.privilege import find_account

PAMTESTER = "/usr/bin/pamtester"
# sudo -k does not count an earlier answer; su starts a program that ends at once.
OWN = {
    "sudo": ["/usr/bin/sudo", "-k", "-v"],
    "su": ["/usr/bin/su", "--shell", "/usr/bin/true", "--"],
}
EPILOG = """\b
Examples:
  sudo trex try alice
  sudo trex try alice --service sudo
  trex try --service sudo

\b
Exit status:
  0  PAM let the user in
  1  PAM refused, or could not be asked
"""


@click.command("try", epilog=EPILOG, short_help="Log a user in, up to the session.")
@click.argument("user", required=False, shell_complete=accounts)
@click.option(
    "--service",
    metavar="NAME",
    default="sshd",
    show_default=True,
    help="Which PAM service.",
    shell_complete=services,
)
def command(user: str | None, service: str) -> int:
    """Log USER in as far as PAM is concerned, in this terminal.

    The whole stack of the service runs (authentication, then account), with its real modules. No
    session is opened and no program is started. sshd's own part, the SSH key, is left out.

    Without root's rights sudo or su asks, and only whoever runs this: trex try --service sudo.
    """
    own = own_name()
    if os.geteuid() != 0:
        done = subprocess.run(_of_own(user or own, own, service), check=False)  # noqa: S603
    else:
        if user is None:
            raise click.UsageError("Missing argument 'USER'.")
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            _with_pamtester(user, service),
            check=False, env={"PATH": PATH, "TERM": os.environ.get("TERM", "dumb")},
        )  # fmt: skip
    if done.returncode != 0:
        say("trex: refused; the log says why: journalctl --facility=authpriv --grep=pam_trex")
        return PROBLEM
    say("trex: accepted")
    return 0


def _of_own(user: str, own: str, service: str) -> list[str]:
    """Return the command by which a user has a program ask for themselves."""
    if user != own:
        raise CommandError(
            "only root can try another user's login", f"sudo trex try {shlex.quote(user)}"
        )
    if service not in OWN:
        raise CommandError(
            f"only root can ask PAM as {service} does",
            f"trex try --service sudo, or su; or log in once more while this session is open: "
            f"trex ssh {shlex.quote(own)}@HOST",
        )
    return [*OWN[service], *([own] if service == "su" else [])]


def _with_pamtester(user: str, service: str) -> list[str]:
    if not os.path.exists(PAMTESTER):
        raise CommandError("pamtester is not installed", "apt install pamtester")
    try:
        name = find_account(user).name
    except UserUnknown as error:
        raise CommandError(f"{user}: {error}", "use a name that `id NAME` knows") from None
    if "/" in service or service.startswith(("-", ".")) or name.startswith("-"):
        raise CommandError(f"expected a PAM service, found {service}", "ls /etc/pam.d")
    return [PAMTESTER, service, name, "authenticate", "acct_mgmt"]
