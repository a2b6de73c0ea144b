"""`trex totp`: a secret for the phone, shown again, and new emergency codes.

`trex.cli.setup.phone` is imported where it is used: `trex --help` does without its libraries.
"""

from __future__ import annotations

import os
import pwd
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from trex.cli.delegate import hint_for
from trex.cli.terminal import CommandError, answer, say
from trex.errors import FileUnsafe
from trex.login.challenge import random_digits
from trex.system.privilege import find_account, native, readable
from trex.system.rewriting import tries
from trex.system.safefile import check_directories
from trex.totp.file import ChangedMeanwhile, create_secret, locked, read_secret
from trex.totp.state import EMERGENCY_DIGITS, OtpState

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.system.privilege import Account

EMERGENCY_CODES = 5
# As `google-authenticator` makes them: a code once, three attempts in half a minute, three at once.
OPTIONS = ('" RATE_LIMIT 3 30', '" WINDOW_SIZE 3')
TIME_BASED = ('" DISALLOW_REUSE {used}', '" TOTP_AUTH')
COUNTER_BASED = ('" HOTP_COUNTER {next}',)


EXAMPLES = """\b
Examples:
  trex totp enroll
  trex totp enroll --counter
  trex totp enroll --if-missing
  trex totp show --svg phone.svg
  trex totp codes
"""


@click.group(epilog=EXAMPLES, short_help="Make and show a secret for codes from a phone.")
def command() -> None:
    """Codes from a phone: make a secret, show it again, renew emergency codes."""


def _with_file(function: Callable[..., None]) -> Callable[..., None]:
    option = click.option(
        "--file", "path", default="~/.google_authenticator", show_default=True,
        help="Where the secret is.",
    )  # fmt: skip
    return option(function)


def _with_svg(function: Callable[..., None]) -> Callable[..., None]:
    option = click.option("--svg", metavar="FILE", help="Write the QR code as SVG, too.")
    return option(function)


@command.command()
@click.option(
    "--if-missing", is_flag=True, help="Do nothing where there is a secret, or no terminal."
)
@click.option("--counter", is_flag=True, help="Codes from a counter (HOTP), not from the clock.")
@_with_svg
@_with_file
def enroll(path: str, svg: str | None, *, if_missing: bool, counter: bool) -> None:
    """Make a secret, and write it once a first code has shown that the phone has it."""
    account, path = _own(path)
    if if_missing and (os.path.lexists(path) or not sys.stdin.isatty()):
        return  # a profile script runs for scp and rsync as well
    if os.path.lexists(path):
        raise CommandError(f"{readable(path)} is there already", "trex totp show")
    _check_place(path, account)
    from trex.cli.setup import phone

    otp = phone.new_otp(counter=counter)
    codes = _emergency_codes()
    with phone.shown(otp, account, svg):
        used = phone.first_code(otp)
        options = (*OPTIONS, *(COUNTER_BASED if counter else TIME_BASED))
        lines = [
            otp.secret,
            *(option.format(used=used, next=used + 1) for option in options),
            *codes,
        ]
        _create(path, account, "".join(f"{line}\n" for line in lines).encode("ascii"))
    say(f"Written: {readable(path)}")
    _show_codes(codes)


@command.command()
@_with_svg
@_with_file
def show(path: str, svg: str | None) -> None:
    """Show the QR code again, for a second phone or a backup."""
    account, path = _own(path)
    from trex.cli.setup import phone

    state = OtpState(read_secret(path, account), readable(path))
    otp = phone.otp_of(state)
    if otp is None:
        raise CommandError(
            f"{readable(path)} says neither TOTP_AUTH nor HOTP_COUNTER: no code is right"
        )
    with phone.shown(otp, account, svg):
        if state.counter:
            say("It goes on from the next code: only one device can count on")


@command.command()
@_with_file
def codes(path: str) -> None:
    """Make new emergency codes in the place of those that are left; the secret stays."""
    account, path = _own(path)
    fresh = _emergency_codes()
    for _ in tries():
        with locked(path, account) as file, suppress(ChangedMeanwhile):
            state = OtpState(file.content, readable(path))
            state.replace_emergency_codes(fresh)
            file.replace(state.content)
            break
    else:
        raise CommandError(f"{readable(path)} was changed by logins meanwhile", "try again")
    _show_codes(fresh)


def _own(path: str) -> tuple[Account, str]:
    """Return who runs this, and the path: root can have a secret too, but makes none for others."""
    account = find_account(readable(pwd.getpwuid(os.geteuid()).pw_name))
    if path.startswith("~/"):
        path = os.path.join(readable(account.home), path[2:])
    return account, native(os.path.abspath(path))


def _check_place(path: str, account: Account) -> None:
    """Raise CommandError where a secret could not be made, or no login would take it."""
    directory = os.path.dirname(path)
    try:
        check_directories(directory, account)
    except FileUnsafe as error:
        raise CommandError(str(error), hint_for(error)) from None
    except OSError as error:
        raise CommandError(f"{readable(directory)}: {error.strerror}", "another --file") from None


def _create(path: str, account: Account, content: bytes) -> None:
    try:
        create_secret(path, account, content)
    except FileUnsafe as error:  # since it was looked at
        raise CommandError(str(error), hint_for(error)) from None


def _emergency_codes() -> list[str]:
    """Return codes of eight digits, the first of them no zero, as google-authenticator wants."""
    made: list[str] = []
    while len(made) < EMERGENCY_CODES:
        code = random_digits(EMERGENCY_DIGITS)
        if not code.startswith("0"):
            made.append(code)
    return made


def _show_codes(emergency: list[str]) -> None:
    say("Emergency codes, each for one login without the phone. They are not shown again:")
    answer("\n".join(emergency))
