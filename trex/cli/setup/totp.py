"""`trex totp`: make a secret for the phone, show it again, make new emergency codes.

`trex.cli.setup.phone` is imported where it is used: `trex --help` does not need its libraries.
"""

from __future__ import annotations

import os
import pwd
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from trex.cli.delegate import hint_for
from trex.cli.errors import CommandError
from trex.cli.terminal import answer, say
from trex.errors import FileUnsafe
from trex.login.challenge import random_digits
from trex.system.privilege import find_account, native, readable
from trex.system.rewriting import tries
from trex.system.safefile import check_directories
from trex.system.secretfile import ChangedMeanwhile, create_secret, locked, read_secret
from trex.totp.state import EMERGENCY_DIGITS, OtpState

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.system.privilege import Account

EMERGENCY_CODES = 5
# As `google-authenticator` writes them: each code once, three attempts in 30 seconds, window 3.
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
    """Codes from a phone: make a secret, show it again, make new emergency codes."""


def _with_file(function: Callable[..., None]) -> Callable[..., None]:
    option = click.option(
        "--file", "path", default="~/.google_authenticator", show_default=True,
        help="The file with the secret.",
    )  # fmt: skip
    return option(function)


def _with_svg(function: Callable[..., None]) -> Callable[..., None]:
    option = click.option("--svg", metavar="FILE", help="Also write the QR code as SVG.")
    return option(function)


@command.command()
@click.option("--if-missing", is_flag=True, help="Do nothing if there is a secret, or no terminal.")
@click.option("--counter", is_flag=True, help="Use a counter (HOTP), not the clock.")
@_with_svg
@_with_file
def enroll(path: str, svg: str | None, *, if_missing: bool, counter: bool) -> None:
    """Make a secret, and write it after the phone has shown a right first code."""
    account, path = _own(path)
    if if_missing and (os.path.lexists(path) or not sys.stdin.isatty()):
        return  # a profile script runs for scp and rsync as well
    if os.path.lexists(path):
        raise CommandError(f"{readable(path)} exists already", "trex totp show")
    _check_parents(path, account)
    from trex.cli.setup import phone

    otp = phone.new_otp(counter=counter)
    codes = _emergency_codes()
    with phone.shown_secret(otp, account, svg):
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


@command.command("show")
@_with_svg
@_with_file
def show_secret(path: str, svg: str | None) -> None:
    """Show the QR code again, for a second phone or a backup."""
    account, path = _own(path)
    from trex.cli.setup import phone

    state = OtpState(read_secret(path, account), readable(path))
    otp = phone.otp_of(state)
    if otp is None:
        raise CommandError(
            f"{readable(path)}: expected TOTP_AUTH or HOTP_COUNTER, found neither: no code is right"
        )
    with phone.shown_secret(otp, account, svg):
        if state.counter:
            say("Counting goes on from the next code: only one device can use this secret.")


@command.command()
@_with_file
def codes(path: str) -> None:
    """Replace the emergency codes by new ones; the secret stays."""
    account, path = _own(path)
    fresh = _emergency_codes()
    for _ in tries():
        with locked(path, account) as file, suppress(ChangedMeanwhile):
            state = OtpState(file.content, readable(path))
            state.replace_emergency_codes(fresh)
            file.replace(state.content)
            break
    else:
        raise CommandError(f"{readable(path)}: logins have changed it meanwhile", "try again")
    _show_codes(fresh)


def _own(path: str) -> tuple[Account, str]:
    """Return the caller's account, and the path. Root makes a secret only for root."""
    account = find_account(readable(pwd.getpwuid(os.geteuid()).pw_name))
    if path.startswith("~/"):
        path = os.path.join(readable(account.home), path[2:])
    return account, native(os.path.abspath(path))


def _check_parents(path: str, account: Account) -> None:
    """Raise CommandError where a secret cannot be created, or every login would refuse it."""
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
    except FileUnsafe as error:  # changed since the check
        raise CommandError(str(error), hint_for(error)) from None


def _emergency_codes() -> list[str]:
    """Return codes of eight digits that do not begin with 0, as google-authenticator requires."""
    made: list[str] = []
    while len(made) < EMERGENCY_CODES:
        code = random_digits(EMERGENCY_DIGITS)
        if not code.startswith("0"):
            made.append(code)
    return made


def _show_codes(emergency: list[str]) -> None:
    say("Emergency codes, each valid for one login without the phone. They are not shown again:")
    answer("\n".join(emergency))
