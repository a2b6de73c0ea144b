"""`trex list`: everybody who may log in, and what they log in with."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from trex.cli.accounts.metrics import metrics, replace_file
from trex.cli.accounts.overview import (
    EXPIRING,
    NO_SPARE,
    NOT_ENROLLED,
    UNKNOWN,
    UNTOLD,
    UNUSABLE,
    look,
)
from trex.cli.accounts.sources import sources_here
from trex.cli.accounts.table import as_data, table
from trex.cli.accounts.verdicts import last_verdicts
from trex.cli.completing import services
from trex.cli.errors import CommandError
from trex.cli.terminal import answer
from trex.errors import TrexError, cut, one_line

if TYPE_CHECKING:
    from trex.cli.accounts.overview import AccountLine, Overview

EPILOG = """\b
Examples:
  sudo trex list
  sudo trex list --expiring 14d
  sudo trex list --not-enrolled --names
  sudo trex list --prometheus /var/lib/prometheus/node-exporter/trex.prom

\b
Exit status, as Nagios has it:
  0  everybody who may log in can, or is exempt
  1  somebody is not enrolled, a key ends soon, or something belongs to nobody
  2  somebody's record refuses every login
  3  something could not be told
"""
SOON = 30  # days
MAX_DIGITS = 5
TO_OUTPUT = "-"


def parse_days(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> int | None:
    """Return a number of days that is written as 30d, 8w or 30."""
    if value is None:
        return None
    unit = {"d": 1, "w": 7}.get(value[-1:], 0)
    number = value[:-1] if unit else value
    if not (number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS):
        raise click.BadParameter(f'expected days such as 30d, found "{one_line(cut(value))}"')
    return int(number) * (unit or 1)


@click.command(epilog=EPILOG, short_help="Show who can log in, until when, and who cannot yet.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--central", is_flag=True, help="Central mode only.")
@click.option(
    "--service",
    "names",
    metavar="NAME",
    multiple=True,
    help="This PAM service; may be repeated. Default: all that ask Trex.",
    shell_complete=services,
)
@click.option(
    "--expiring",
    "days",
    metavar="DAYS",
    callback=parse_days,
    help=f"Only keys that end within DAYS, such as {SOON}d, or have ended.",
)
@click.option("--not-enrolled", is_flag=True, help="Only accounts that are not enrolled yet.")
@click.option("--names", "only_names", is_flag=True, help="Only the users' names, each in a line.")
@click.option("--long", is_flag=True, help="Also files, whole fingerprints and user ids.")
@click.option(
    "--prometheus",
    "file",
    metavar="[FILE]",
    is_flag=False,
    flag_value=TO_OUTPUT,
    help="Write metrics, to FILE for node_exporter.",
)
def command(  # noqa: PLR0913 (one for each option)
    names: tuple[str, ...],
    days: int | None,
    file: str | None,
    *,
    as_json: bool,
    central: bool,
    not_enrolled: bool,
    only_names: bool,
    long: bool,
) -> int:
    """Show everybody who may log in: with which key, until when, and what is in the way.

    Nothing is changed. It reads the records, keys, secrets and numbers that the PAM services of
    this host use, each with the rights that a login has, and the log for the last verdict.

    People log in with the accounts whose uid is in the range of /etc/login.defs, whose shell is not
    nologin, and which have not expired. Others are shown if they are enrolled. Records and keys
    that belong to no account are shown at the end.
    """
    try:
        overview = _look(names, days, central=central, not_enrolled=not_enrolled)
        if file is not None:
            _write(metrics(overview), file)
            return overview.status
    except TrexError as error:  # 1 and 2 would say something about the accounts
        told = CommandError(str(error), getattr(error, "hint", ""))
        told.exit_code = UNTOLD
        raise told from None
    if only_names:
        for one in overview.lines:
            answer(one_line(one.name))
    elif as_json:
        answer(json.dumps(as_data(overview), indent=2))
    else:
        for line in table(overview, long=long):
            answer(line)
    return overview.status


def _look(
    names: tuple[str, ...], days: int | None, *, central: bool, not_enrolled: bool
) -> Overview:
    if os.geteuid() != 0:
        raise CommandError("only root can list everybody's records", "sudo trex list")
    sources = sources_here(names, central=central)
    overview = look(sources, SOON if days is None else days)
    if days is not None or not_enrolled:
        wanted = (EXPIRING, NO_SPARE, UNUSABLE) if days is not None else ()
        overview.lines = [line for line in overview.lines if _is_wanted(line, wanted, not_enrolled)]
        overview.orphans = []
    groups = {
        service.name: [[source.method for source in group] for group in service.groups]
        for service in sources.services
    }
    verdicts = last_verdicts({line.name for line in overview.lines}, groups)
    overview.log = verdicts.source
    for line in overview.lines:
        line.last = verdicts.last.get(line.name)
    return overview


def _is_wanted(line: AccountLine, states: tuple[str, ...], not_enrolled: bool) -> bool:  # noqa: FBT001
    if line.state == UNKNOWN or any(held.state in states for held in line.held):
        return True
    return not_enrolled and bool(line.lacking) and line.state == NOT_ENROLLED


def _write(text: str, file: str) -> None:
    if file == TO_OUTPUT:
        answer(text.rstrip("\n"))
    else:
        replace_file(file, text)
