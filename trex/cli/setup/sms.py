"""`trex sms`: send somebody a test message, and let a user have messages again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from trex.cli.completing import accounts
from trex.cli.directory import is_account_name
from trex.cli.errors import CommandError
from trex.cli.installed import document, how_to_install
from trex.cli.terminal import answer, say
from trex.errors import NoRecord, OptionError, ProgramFailed, UserUnknown
from trex.login.challenge import random_digits
from trex.login.method import find_sender, find_servant
from trex.login.options import Options, parse_options
from trex.sms.phones import number_from_gecos, numbers_from_map
from trex.sms.settings import read_settings
from trex.system.privilege import find_account
from trex.system.servant import have_done

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.system.privilege import Account

DIGITS = 4  # of the number by which somebody tells which message has arrived
EXAMPLES = """\b
Examples:
  sudo trex sms test --user alice
  sudo trex sms reset --user alice
"""


@click.group(epilog=EXAMPLES, short_help="Send a test message; reset a user's limits.")
def command() -> None:
    """Messages with PINs: send a test, and let a user have messages again."""


def _with_settings(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--sms-user", metavar="NAME", help="As the module's sms_user=."),
        click.option("--sms-file", metavar="PATH", help="As the module's sms_file=."),
        click.option("--user", metavar="NAME", required=True, help="Whose telephone, or limits.",
                     shell_complete=accounts),
    ):  # fmt: skip
        function = option(function)
    return function


@command.command(short_help="Send a message without a PIN to a user's telephone.")
@_with_settings
@click.option("--gecos-phone", is_flag=True, help="As the module's gecos_phone.")
@click.option("--phones", metavar="PATH", help="As the module's phones=.")
def test(user: str, **arguments: Any) -> None:
    """Send a message to a user's telephone, as a login does, but without a PIN.

    Gateways are tried in the same order, and the message counts: over a limit nothing is sent.
    """
    options = _options(**arguments)
    account = _account(user)
    numbers = _numbers(account, options)
    servant = _servant(options, account)
    host = os.uname().nodename
    text = f"Test {random_digits(DIGITS)} from {host}: messages with PINs reach you."
    told = {**read_settings(options.sms_file), "user": account.name, "host": host,
            "numbers": numbers, "text": text}  # fmt: skip
    reason = _done(servant, "trex.sms.send", "sent", told)
    ends = " and ".join(f"..{number[-2:]}" for number in numbers)
    answer(f"{account.name}: a message to {ends} was taken {reason}")
    say(f'If this arrives, PINs do: "{text}"')


@command.command(short_help="Have a user's messages no longer count for that user.")
@_with_settings
def reset(user: str, **arguments: Any) -> None:
    """Have a user's messages of the last day no longer count against the user's own limits.

    They still count against the host's: the money for them is spent.
    """
    if not is_account_name(user):
        raise CommandError(f"{user}: expected the name of an account", "id NAME")
    options = _options(**arguments)
    servant = _servant(options, None)
    told = {"state": read_settings(options.sms_file)["state"], "user": user}
    count = _done(servant, "trex.sms.reset", "reset", told)
    if count == "0":
        say(f"{user}: no message of the last day counts, nothing to reset.")
    else:
        answer(f"{user}: {count} of the last day's messages no longer count for {user}")


def _options(**arguments: Any) -> Options:
    if os.geteuid() != 0:
        raise CommandError("only root can do this", "sudo trex sms ...")
    flag = ["gecos_phone"] if arguments.pop("gecos_phone", False) else []
    words = [f"{name}={value}" for name, value in arguments.items() if value]
    try:
        return parse_options(["method=sms", *flag, *words])
    except OptionError as error:
        raise CommandError(str(error)) from None


def _account(user: str) -> Account:
    try:
        return find_account(user)
    except UserUnknown as error:
        raise CommandError(f"{user}: {error}", "expected a name that `id NAME` knows") from None


def _numbers(account: Account, options: Options) -> list[str]:
    try:
        if options.gecos_phone:
            return number_from_gecos(account)
        return numbers_from_map(options.phones, account.name, account.uid)
    except NoRecord as error:
        raise CommandError(str(error), f"{document('docs/sms.md')}: whose number") from None


def _servant(options: Options, account: Account | None) -> Account:
    try:
        if account is None:
            return find_servant("sms_user", options.sms_user)
        return find_sender(options, account)
    except OptionError as error:
        raise CommandError(str(error), how_to_install(" --sms")) from None


def _done(servant: Account, program: str, expected: str, told: dict[str, Any]) -> str:
    """Have the account that sends do it; return its report. Raises CommandError."""
    try:
        word, rest = have_done(servant, program, told)
    except ProgramFailed as error:
        raise CommandError(str(error), "trex doctor --online") from None
    if word != expected:
        raise CommandError(rest, "trex doctor --online")
    return rest
