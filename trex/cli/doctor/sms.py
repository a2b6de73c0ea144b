"""method=sms: what the host needs for it, and each user's number and limits."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from typing import TYPE_CHECKING, Any

from trex.cli.doctor.clock import until
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.gateways import check_gateways, for_user
from trex.cli.doctor.remedy import by_hand, without_number
from trex.cli.doctor.state import (
    CLOSE,
    check_directory,
    check_packages,
    make_servant,
    reached,
    servant_of,
    settings_fix,
    unreachable,
)
from trex.errors import FileUnsafe, NoRecord, OptionError, OtherAccount, UserUnknown
from trex.sms.errors import SettingsError, StateUnusable
from trex.sms.phones import number_from_gecos, numbers_from_map, users_in_map
from trex.sms.settings import read_settings
from trex.system.privilege import find_account, readable

if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.system.privilege import Account

ALL = "Every login is refused."
LOGIN_DEFS = "/etc/login.defs"
OFFICE_PHONE = "w"
OLD_WORDS = {"yes": "rwh", "no": "frwh"}  # login.defs(5), CHFN_RESTRICT


class Sender:
    """The account that sends, its settings, and whether it can count (else a finding says so)."""

    def __init__(self, servant: Account, settings: dict[str, Any], *, counts: bool) -> None:
        self.servant = servant
        self.settings = settings
        self.counts = counts


def check_sender(options: Options, *, online: bool) -> tuple[list[Finding], Sender | None]:
    """Return what would refuse every user, and the sender, None where it is not known."""
    findings = []
    servant = None
    try:
        servant = servant_of(options)
    except OptionError as error:
        findings.append(Finding("sms-account", ERROR, str(error), ALL, make_servant(options)))
    settings = None
    try:
        settings = read_settings(options.sms_file)
    except (SettingsError, FileUnsafe) as error:
        fix = settings_fix(error, options.sms_file)
        findings.append(Finding("sms-settings", ERROR, str(error), ALL, fix))
    if servant is None or settings is None:
        return findings, None
    state = settings["state"]
    missing = check_packages(state, sending=True)
    findings += missing or [*check_directory(state, servant), *_check_host(servant, settings)]
    findings += check_gateways(settings, options.sms_file, servant, online=online)
    counts = not any(finding.check in ("sms-package", "sms-state") for finding in findings)
    return findings, Sender(servant, settings, counts=counts)


def _check_host(servant: Account, settings: dict[str, Any]) -> list[Finding]:
    try:
        limits = reached(servant, settings, "", 1, "host")
    except StateUnusable as error:
        return [unreachable(settings["state"], servant, error)]
    return _limits("this host", "Until then no PIN is sent to anybody.", settings, limits)


def users(options: Options) -> list[str]:
    """Return all users with a number: those in the map, or those with an office phone.

    Raises SettingsError and FileUnsafe, which `check_numbers` reports.
    """
    if not options.gecos_phone:
        return users_in_map(options.phones)
    names = []
    for entry in pwd.getpwall():
        try:
            account = find_account(readable(entry.pw_name))
            number_from_gecos(account)
            names.append(account.name)
        except (UserUnknown, NoRecord):
            continue
    return names


def check_numbers(options: Options) -> list[Finding]:
    """Return what is wrong with the source of the numbers."""
    if options.gecos_phone:
        return _check_gecos()
    try:
        named = users_in_map(options.phones)
    except (SettingsError, FileUnsafe) as error:
        fix = settings_fix(error, options.phones)
        return [Finding("sms-phones", ERROR, str(error), ALL, fix)]
    findings = _check_readers(options.phones)
    for name in named:
        try:
            find_account(name)
        except UserUnknown as error:
            what = f"{options.phones}: {name}: {error}"
            why = "Whoever gets an account of this name later also gets this number."
            fix = without_number(options.phones, name)
            findings.append(Finding("sms-phones", WARNING, what, why, fix, name))
    return findings


def _check_readers(path: str) -> list[Finding]:
    """Check that only root, who alone needs the numbers, can read them."""
    status = os.stat(path)
    others = stat.S_IROTH | (stat.S_IRGRP if status.st_gid != 0 else 0)
    if not status.st_mode & others:
        return []
    what = f"{path}: expected mode 0600, found {stat.S_IMODE(status.st_mode):04o}"
    why = "Local users can read everybody's telephone number."
    return [Finding("sms-readable", WARNING, what, why, CLOSE.format(path=shlex.quote(path)))]


def _check_gecos() -> list[Finding]:
    """Check whether chfn(1) lets users change the number."""
    try:
        with open(LOGIN_DEFS, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        words = []
    said = [line[1].strip('"') for line in words if line[:1] == ["CHFN_RESTRICT"] and len(line) > 1]
    if not said or OFFICE_PHONE not in OLD_WORDS.get(said[-1], said[-1]):
        return []
    what = f"{LOGIN_DEFS}: CHFN_RESTRICT {said[-1]}, and gecos_phone"
    why = "Users, and whoever takes over their session, can have PINs sent to another number."
    allowed = OLD_WORDS.get(said[-1], said[-1]).replace(OFFICE_PHONE, "")
    script = f"s/^[[:blank:]]*CHFN_RESTRICT.*/CHFN_RESTRICT {allowed}/"
    fix = f"sed -i {shlex.quote(script)} {LOGIN_DEFS}  # or use a map, not gecos_phone"
    return [Finding("sms-gecos", WARNING, what, why, fix)]


def check_user(name: str, options: Options, sender: Sender | None) -> list[Finding]:
    """Return what would refuse this user and, as a note, the last digits of the number.

    Raises UserUnknown.
    """
    account = find_account(name)
    try:
        numbers = _numbers(account, options)
    except NoRecord as error:
        fix = f"echo {shlex.quote(f'{name} NUMBER')} >> {shlex.quote(options.phones)}"
        if options.gecos_phone:
            fix = f"chfn -w NUMBER {shlex.quote(name)}"
        severity, why = ERROR, "This user is refused."
        if options.nullok:
            severity, why = WARNING, "Because of nullok this user is not asked."
        return [Finding("sms-NoRecord", severity, f"{name}: {error}", why, fix, name)]
    except OtherAccount as error:
        why = f"This user is refused. If this is the same person, write uid={account.uid} there."
        fix = f"sudoedit {options.phones}"
        return [Finding("sms-OtherAccount", ERROR, str(error), why, fix, name)]
    except (SettingsError, FileUnsafe):  # check_numbers has reported it
        return []
    ends = " and ".join(f"..{number[-2:]}" for number in numbers)
    source = "it with chfn" if options.gecos_phone else options.phones
    findings = [
        Finding("sms-number", NOTE, f"{name}: a PIN goes to {ends}", "Is this the right telephone?",
                by_hand(f"if not, correct {source}"), name)
    ]  # fmt: skip
    return [*findings, *_check_sending(account, len(numbers), sender)]


def _numbers(account: Account, options: Options) -> list[str]:
    if options.gecos_phone:
        return number_from_gecos(account)
    return numbers_from_map(options.phones, account.name, account.uid)


def _check_sending(account: Account, messages: int, sender: Sender | None) -> list[Finding]:
    if sender is None:
        return []
    name, refused = account.name, "This user is refused."
    findings = []
    if sender.servant.uid == account.uid:
        what = f"{name}: sms_user= is the account that logs in"
        findings.append(
            Finding(
                "sms-account", ERROR, what, refused, by_hand("another account in sms_user="), name
            )
        )
    if sender.settings["gateways"] and not for_user(sender.settings, name):
        what = f"{name}: no gateway is for {name}"
        findings.append(
            Finding("sms-gateway", ERROR, what, refused, by_hand("correct only, in sms.toml"), name)
        )
    if not sender.counts:
        return findings
    try:
        limits = reached(sender.servant, sender.settings, name, messages, "user")
    except StateUnusable as error:  # it failed after check_sender asked
        sender.counts = False  # the next user would wait as long
        return [*findings, unreachable(sender.settings["state"], sender.servant, error)]
    why = "Until then nothing is sent to this user."
    return [*findings, *_limits(name, why, sender.settings, limits, name)]


def _limits(
    whose: str, why: str, settings: dict[str, Any], limits: dict[str, float | None],
    subject: str = "",
) -> list[Finding]:  # fmt: skip
    findings = []
    for name, seconds in limits.items():
        end = "and never ends" if seconds is None else f"until {until(seconds)}"
        what = f"{whose}: the limit {name} = {settings['limits'][name]} is reached, {end}"
        fix = by_hand(f"wait, or raise {name} in sms.toml; find out who used it up")
        findings.append(Finding("sms-limit", ERROR, what, why, fix, subject))
    return findings
