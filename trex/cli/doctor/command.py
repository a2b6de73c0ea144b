"""`trex doctor`: find what would make a login fail, before it does."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shlex
from typing import TYPE_CHECKING

import click

from trex.cli.completing import accounts, services
from trex.cli.doctor.admission import account_stack, check_account_stack, check_admission
from trex.cli.doctor.alone import check_alone
from trex.cli.doctor.callers import check_callers, is_called_by_users
from trex.cli.doctor.client import check_client, is_server
from trex.cli.doctor.clock import check_clock
from trex.cli.doctor.combination import check_combination, check_strangers, check_unasked
from trex.cli.doctor.confinement import check_confinement
from trex.cli.doctor.doors import asked_by, is_one_of_two, trex_rules
from trex.cli.doctor.effective import Sshd
from trex.cli.doctor.finding import ERROR, NOTE, STATUS, Finding
from trex.cli.doctor.gateways import ONLINE
from trex.cli.doctor.grace import check_grace
from trex.cli.doctor.hostkeys import check_host_keys, keys_of_sshd
from trex.cli.doctor.line import AS_ROOT, Users, check_line, either, left_out, users_of
from trex.cli.doctor.module import check_modules, check_others
from trex.cli.doctor.ntp import check_offset
from trex.cli.doctor.programs import check_program
from trex.cli.doctor.recovery import check_place
from trex.cli.doctor.report import Report, acknowledge, check_words
from trex.cli.doctor.service import check_pam_service, with_options
from trex.cli.doctor.sshd import (
    addresses_of,
    check_sshd,
    every_account,
    host_key_files,
    key_comes_first,
)
from trex.cli.doctor.stack import read_stack
from trex.cli.doctor.wrappers import check_wrappers
from trex.cli.errors import CommandError
from trex.login.options import Options
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule, Stack

    Lines = list[tuple[Rule | None, Options]]

EPILOG = """\b
Examples:
  sudo trex doctor
  sudo trex doctor --service sudo --user alice
  sudo trex doctor --online
  sudo trex doctor --ignore pam-nullok --reason "until all are enrolled"
  sudo trex doctor --json | jq '.findings[].what'

\b
Exit status:
  0  nothing was found, or only notes
  1  warnings
  2  a login would fail, or somebody could get in without a right response
"""
SSHD = "sshd"
NO_SERVICE = ""
SERVERS = Finding(
    "client-only", NOTE, "no PAM service here names Trex, so this is taken for a user's machine",
    "What a server needs was not checked.", "sudo trex doctor  # on a server",
)  # fmt: skip


@click.command(epilog=EPILOG, short_help="Look for whatever would make a login fail.")
@click.option(
    "--service",
    metavar="NAME",
    default=SSHD,
    show_default=True,
    help="Which PAM service.",
    shell_complete=services,
)
@click.option(
    "--user",
    "users",
    metavar="NAME",
    multiple=True,
    help="Check this user; may be repeated. Default: all who are set up.",
    shell_complete=accounts,
)
@click.option("--online", is_flag=True, help="Connect to the gateways for SMS; nothing is sent.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option(
    "--ignore",
    "ignored",
    metavar="CHECK",
    multiple=True,
    help="Leave this finding out from now on, of --user or of all; may be repeated.",
)
@click.option("--reason", metavar="TEXT", default="", help="Why; goes with --ignore.")
def command(  # noqa: PLR0913 (one for each option)
    service: str, users: tuple[str, ...], ignored: tuple[str, ...], reason: str, *,
    online: bool, as_json: bool,
) -> int:  # fmt: skip
    """Find what would make a login fail, or let in somebody without a right response.

    Nothing is changed. It checks pam_trex.so or pam_python.so with the files behind it, the PAM
    stack with its includes, which programs have root run code of their caller's, sshd's
    settings, the host keys that challenges name, each user's record and keys, the page with a QR
    code, each user's secret for codes, the settings for sending a PIN, and the clock. With
    --ignore it writes to /etc/trex/doctor.toml what it leaves out from then on.

    Without root's rights it checks what it can of the caller's own logins, and names what it
    leaves out. Where no PAM service names Trex, it checks what `trex ssh` needs instead.
    """
    check_words(ignored, reason)
    doors: list[tuple[str, str]] = []
    if not users and service == SSHD and os.geteuid() != 0 and not is_server():
        service, found = NO_SERVICE, [*check_client(), SERVERS]
    else:
        names = _names(users)
        stack = read_stack(service)
        found = _again(_check(service, stack, names, online=online), service, names)
        doors = [(rule.where, ask.door) for rule in stack.rules if (ask := asked_by(rule))]
    if ignored:
        acknowledge(ignored, reason, found, whose=bool(users))
    report = Report(found)
    (report.write_json if as_json else report.write)(service, doors)
    return report.status


def _check(service: str, stack: Stack, names: list[str], *, online: bool) -> list[Finding]:
    """Return all findings about a service and its users."""
    rules = trex_rules(stack)
    findings = [*check_modules(rules), *check_others(stack.rules)]
    findings += [*check_pam_service(service, stack), *check_callers()]
    lines: Lines = [*with_options(rules)] if rules else [(None, Options())]
    findings += _check_lines(service, stack, names, lines, online=online)
    findings += check_confinement(lines)
    findings += check_clock([__file__])
    if any(options.method == "totp" for _, options in lines):
        findings += check_offset()
    return findings


def _again(findings: list[Finding], service: str, names: list[str]) -> list[Finding]:
    """Have the advice to run the doctor in another way keep what it was asked."""
    words = [f" --service {service}"] if service != SSHD else []
    asked = "".join([*words, *(f" --user {shlex.quote(name)}" for name in names)])
    again = {AS_ROOT: f"{AS_ROOT}{asked}", ONLINE: f"{ONLINE}{asked}"}
    return [dataclasses.replace(one, fix=again.get(one.fix, one.fix)) for one in findings]


def _names(users: tuple[str, ...]) -> list[str]:
    """Return the named users; without root's rights, only the caller."""
    if os.geteuid() == 0:
        return list(users)
    own = readable(pwd.getpwuid(os.geteuid()).pw_name)
    if any(name != own for name in users):
        error = CommandError("only root can check other users' logins", "sudo trex doctor")
        error.exit_code = STATUS[ERROR]  # 1 would mean only warnings
        raise error
    return [own]


def _check_lines(
    service: str, stack: Stack, names: list[str], lines: Lines, *, online: bool
) -> list[Finding]:
    """Check what each line of Trex's needs, and sshd's settings for them."""
    findings = []
    of_sshd: dict[str, str] = {}
    who = [Users(names) if names else users_of(options) for _, options in lines]
    sshd = Sshd()
    # If no line can be understood: for the named users, as if it had no arguments.
    named = [users.names for users in who] or [names]
    everybody = list(dict.fromkeys(name for some in named for name in some))
    if os.geteuid() != 0:
        settings = "sshd's settings, and " if service == SSHD else ""
        findings.append(left_out(f"{settings}whom other modules refuse"))
    elif service == SSHD:
        understood = [options for _, options in lines] or [Options()]
        timeout = max(options.timeout for options in understood)
        others = names or every_account(sshd)
        findings += check_sshd(sshd, everybody, others, understood[0].method, timeout)
        findings += check_wrappers(addresses_of(sshd))
        of_sshd = keys_of_sshd(host_key_files(sshd))
    if os.geteuid() == 0:
        findings += _check_admission(service, stack, everybody, sshd)
    asking = [(rule, options) for rule, options in lines if rule is not None]
    for rule, options in asking:
        findings += _check_rule(service, stack, rule, options, sshd)
        if options.method == "openpgp":
            is_remote = not is_called_by_users(service)
            findings += check_host_keys(rule, options, of_sshd, is_remote=is_remote)
        if options.method == "recovery":
            findings += check_place(stack, rule, options, lines)
    if any(options.grace_period for _, options in asking):
        strangers = not is_called_by_users(service) and _strangers_come(service, sshd)
        findings += check_grace(stack, asking, strangers=strangers)
    if any(options.nullok for _, options in asking) and _strangers_come(service, sshd):
        findings += check_unasked(stack, asking)
    found = [
        check_line(options, users, service, online=online)
        for (_, options), users in zip(lines, who, strict=True)
    ]
    findings += check_alone(stack, asking, who)
    if is_one_of_two([rule for rule, _ in asking]):
        found = either(found)
    return list(dict.fromkeys([*findings, *(finding for some in found for finding in some)]))


def _check_rule(
    service: str, stack: Stack, rule: Rule, options: Options, sshd: Sshd
) -> list[Finding]:
    """Check one line of Trex's beside the other modules, and the program that asks it."""
    findings = [*check_combination(stack, rule, options), *check_program(service, rule, options)]
    if options.method == "sms" and _strangers_come(service, sshd):
        findings += check_strangers(stack, rule)
    return findings


def _check_admission(service: str, stack: Stack, users: list[str], sshd: Sshd) -> list[Finding]:
    """Return whom a module beside Trex refuses, in either phase."""
    account = account_stack(service)
    findings = check_account_stack(service, account)
    addresses = [] if is_called_by_users(service) else addresses_of(sshd)
    return [*findings, *check_admission(service, [stack, account], users, addresses)]


def _strangers_come(service: str, sshd: Sshd) -> bool:
    """Return whether PAM asks people who have proved nothing yet; sshd may ask for a key first.

    Without root's rights sshd's settings are unknown, which a note says.
    """
    return service != SSHD or (os.geteuid() == 0 and not key_comes_first(sshd))
