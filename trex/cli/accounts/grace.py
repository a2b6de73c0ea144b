"""`trex grace`: whom a grace period lets in without a question, and ending that."""

from __future__ import annotations

import json
import os
import re

import click

from trex.cli.completing import accounts
from trex.cli.errors import CommandError
from trex.cli.remembered import end_grace
from trex.cli.terminal import answer, say
from trex.errors import FileUnsafe, UserUnknown, one_line
from trex.login.challenge import now
from trex.login.grace import SECOND, boot_id
from trex.login.gracefile import states
from trex.login.origin import is_remote
from trex.system.privilege import find_account

EPILOG = """\b
Examples:
  sudo trex grace list
  sudo trex grace list --user alice --json
  sudo trex grace clear --user alice
  sudo trex grace clear --all
"""
PSEUDO, VIRTUAL = 136, 4  # majors of terminals: devices.txt of the kernel's documentation
MINUTE, HOUR, DAY = 60, 3600, 86400


@click.group(epilog=EPILOG, short_help="Show or end the grace periods of users.")
def command() -> None:
    """Grace periods (grace_period=): who is not asked again, from where, and for how long."""


@command.command("list")
@click.option("--user", metavar="NAME", help="Only this user's.", shell_complete=accounts)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def show_periods(user: str | None, *, as_json: bool) -> None:
    """Show the successes that are remembered.

    Each may end earlier: when the record, a key or the line in the PAM service changes.
    """
    _check_root("list")
    found = []
    for state in states():
        if isinstance(state, FileUnsafe):
            say(f"trex: warning: {state}; who comes from there is asked")
        elif user in (None, state["user"]) and (left := seconds_left(state)) > 0:
            found.append((state, left))
    if as_json:
        names = ("user", "service", "method", "origin")
        rows = [{**{n: state[n] for n in names}, "seconds_left": left} for state, left in found]
        answer(json.dumps(rows, indent=2))
        return
    for state, left in found:
        answer(one_line(_described(state, left)))
    if not found:
        say("Nobody has a grace period now.")


@command.command()
@click.option("--user", metavar="NAME", help="This user's.", shell_complete=accounts)
@click.option("--all", "everybody", is_flag=True, help="Everybody's.")
def clear(user: str | None, *, everybody: bool) -> None:
    """End grace periods: the next login is asked, wherever it comes from.

    That holds for what google-authenticator has noted in a user's file, too.
    """
    if everybody == bool(user):
        raise click.UsageError("expected --user NAME or --all")
    _check_root("clear")
    count = sum(map(end_grace, sorted(_uids(user)))) if user else end_grace(None)
    whose = user or "everybody"
    answer(f"Ended: {count} grace period{'s' * (count != 1)} of {whose}")


def _uids(user: str) -> set[int]:
    """Return the uid of a user, and those that are remembered: the account may be gone by now.

    Raises UserUnknown.
    """
    known = [state for state in states() if not isinstance(state, FileUnsafe)]
    found = {int(state["uid"]) for state in known if state["user"] == user}
    try:
        return found | {find_account(user).uid}
    except UserUnknown:
        if not found:
            raise
        return found


def seconds_left(state: dict[str, str]) -> int:
    """Return how long a success still counts, 0 for one that does not."""
    ago = now() - int(state["since"]) / SECOND
    if state["boot"] != boot_id() or ago < 0:
        return 0
    return max(0, int(int(state["seconds"]) - ago))


def _described(state: dict[str, str], left: int) -> str:
    origin = state["origin"]
    where = f"from {origin}" if is_remote(origin) else f"at {_terminal(origin)}"
    return (
        f"{state['user']}: {state['service']}, method={state['method']}, {where}: "
        f"{_spoken(left)} left"
    )


def _terminal(origin: str) -> str:
    """Return a terminal as `who` names it, and its session: `pts/3, session 4711`."""
    found = re.match(r"terminal (\d+), session (\d+)", origin, re.ASCII)
    if found is None:
        return origin
    device, session = found.groups()
    major, minor = os.major(int(device)), os.minor(int(device))
    name = {PSEUDO: f"pts/{minor}", VIRTUAL: f"tty{minor}"}.get(major, f"terminal {device}")
    return f"{name}, session {session}"


def _spoken(seconds: int) -> str:
    """Return the two largest units of a duration: `1 d 3 h`, `12 min 5 s`."""
    units = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))
    parts = []
    for length, unit in units:
        number, seconds = divmod(seconds, length)
        parts.append((number, unit))
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number) or "0 s"


def _check_root(verb: str) -> None:
    if os.geteuid() != 0:
        raise CommandError("only root can see and end grace periods", f"sudo trex grace {verb}")
