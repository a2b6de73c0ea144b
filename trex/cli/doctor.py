"""`trex doctor`: everything that would make a login fail, before it does."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
from typing import TYPE_CHECKING

import click

from trex.audit import one_line
from trex.cli.place import place_of
from trex.cli.terminal import CommandError
from trex.doctor.clock import check_clock
from trex.doctor.finding import ERROR, STATUS, Finding, status_of
from trex.doctor.module import check_module
from trex.doctor.record import check_record
from trex.doctor.service import check_service, options_of, trex_rules
from trex.doctor.sshd import check_sshd
from trex.doctor.stack import read_stack
from trex.errors import OptionError, TrexError
from trex.methods import is_absent
from trex.options import Options
from trex.privilege import readable

if TYPE_CHECKING:
    from trex.doctor.stack import Rule

EPILOG = """\b
Examples:
  sudo trex doctor
  sudo trex doctor --service sudo --user alice
  sudo trex doctor --json | jq '.findings[].what'

\b
Exit status:
  0  nothing was found
  1  warnings
  2  a login would fail, or somebody could get in without a right response
"""
COLOURS = {ERROR: "red"}


@click.command(epilog=EPILOG, short_help="Look for whatever would make a login fail.")
@click.option(
    "--service", metavar="NAME", default="sshd", show_default=True, help="Which PAM service."
)
@click.option(
    "--user",
    "users",
    metavar="NAME",
    multiple=True,
    help="Whose record; may be repeated. Without it, all who have one.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(service: str, users: tuple[str, ...], *, as_json: bool) -> int:
    """Look for whatever would make a login fail, or let somebody in who has no key.

    Nothing is changed. What it looks at: pam_python.so and the module's files, the PAM stack with
    its includes, sshd's settings, each user's record and keys, the page with a QR code, the clock.
    """
    if os.geteuid() != 0:
        error = CommandError("root is needed to look at all of it", "sudo trex doctor")
        error.exit_code = STATUS[ERROR]  # 1 would say that there are warnings only
        raise error
    stack = read_stack(service)
    rule = next(iter(trex_rules(stack)), None)
    findings = [*check_module(rule), *check_service(service, stack)]
    options = _options(rule)
    if options is not None:
        names = list(users) or _enrolled(options)
        if not names:
            findings.append(_nobody())
        if service == "sshd":
            findings += check_sshd(names, options)
        for name in names:
            findings += _check_user(name, options, service)
    findings += check_clock([__file__])
    status = status_of(findings)
    if as_json:
        told = [dataclasses.asdict(finding) for finding in findings]
        click.echo(json.dumps({"service": service, "status": status, "findings": told}, indent=2))
    else:
        _print(findings)
    return status


def _options(rule: Rule | None) -> Options | None:
    """Return the module's arguments; None where they are a finding already."""
    try:
        return options_of(rule) if rule else Options()
    except OptionError:
        return None


def _enrolled(options: Options) -> list[str]:
    """Return all accounts that have a record."""
    names = []
    for entry in pwd.getpwall():
        try:
            place = place_of(readable(entry.pw_name), options)
            if not is_absent(place.record, place.reader):
                names.append(place.user.name)
        except (CommandError, TrexError):  # an account without a home, or with an odd name
            continue
    return names


def _nobody() -> Finding:
    why = "Nobody can log in with Trex."
    return Finding(
        "record-nobody", ERROR, "no account has a record", why, "trex enroll --user NAME"
    )


def _check_user(name: str, options: Options, service: str) -> list[Finding]:
    try:
        place = place_of(name, options)
        examined = check_record(place)
        if examined.record and examined.record.web_qr and options.web:
            from trex.doctor.page import check_page

            examined.findings += check_page(place, examined.record, examined.message, service)
    except (CommandError, TrexError) as error:
        why = "PAM refuses a user who is not in the account database, or whose files hang."
        return [Finding("user", ERROR, f"{name}: {error}", why, f"getent passwd {name}")]
    return examined.findings


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        what = f"{finding.severity}: {one_line(finding.what)}"
        click.secho(what, fg=COLOURS.get(finding.severity, "yellow"))
        click.echo(f"  why:  {one_line(finding.why)}\n  mend: {one_line(finding.mend)}")
    if not findings:
        click.echo("Nothing was found.")
