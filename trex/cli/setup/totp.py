"""`trex totp`: make a secret for the phone, show it again, make new emergency codes.

`trex.cli.setup.phone` is imported where it is used: `trex --help` does not need its libraries.
"""

from __future__ import annotations

import os
import pwd
import sys
from typing import TYPE_CHECKING, Any

import click

from trex.cli.completing import accounts
from trex.cli.errors import CommandError
from trex.cli.setup.secretplace import SecretPlace, find_place
from trex.cli.setup.twopeople import warn_of_one
from trex.cli.terminal import answer, say
from trex.login.challenge import random_digits
from trex.system.privilege import find_account, native, readable
from trex.totp.state import EMERGENCY_DIGITS, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.system.privilege import Account

EMERGENCY_CODES = 5
OWN_FILE = "~/.google_authenticator"
# As `google-authenticator` writes them: each code once, three attempts in 30 seconds, window 3.
OPTIONS = ('" RATE_LIMIT 3 30', '" WINDOW_SIZE 3')
TIME_BASED = ('" DISALLOW_REUSE {used}', '" TOTP_AUTH')
COUNTER_BASED = ('" HOTP_COUNTER {next}',)


EXAMPLES = """\b
Examples:
  trex totp enroll
  trex totp enroll --counter
  trex totp enroll --if-missing
  sudo trex totp enroll --user alice --svg alice.svg
  sudo trex totp enroll --central --user alice
  trex totp show --svg phone.svg
  trex totp codes
  sudo trex totp codes --central --user alice
"""


@click.group(epilog=EXAMPLES, short_help="Make and show a secret for codes from a phone.")
def command() -> None:
    """Codes from a phone: make a secret, show it again, make new emergency codes."""


def _with_file(function: Callable[..., None]) -> Callable[..., None]:
    option = click.option(
        "--file", "path", metavar="FILE", default=OWN_FILE, show_default=True,
        help="The file with the secret.",
    )  # fmt: skip
    return option(function)


def _with_svg(function: Callable[..., None]) -> Callable[..., None]:
    option = click.option("--svg", metavar="FILE", help="Also write the QR code as SVG.")
    return option(function)


def _with_place(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name somebody's secret, where the module looks for it."""
    for option in (
        click.option("--run-as", metavar="NAME", help="As the module's run_as=."),
        click.option("--secret", metavar="PATH", help="As the module's secret=."),
        click.option("--central", is_flag=True,
                     help="Central mode: a secret that users cannot read."),
        click.option("--user", metavar="NAME", help="Whose secret; root may name anybody.",
                     shell_complete=accounts),
    ):  # fmt: skip
        function = option(function)
    return function


@command.command(short_help="Make a secret, and write it after a right first code.")
@_with_place
@click.option("--prove", is_flag=True, help="Ask for a first code also for --user.")
@click.option("--if-missing", is_flag=True, help="Do nothing if there is a secret, or no terminal.")
@click.option("--counter", is_flag=True, help="Use a counter (HOTP), not the clock.")
@_with_svg
@_with_file
def enroll(svg: str | None, *, if_missing: bool, counter: bool, prove: bool, **where: Any) -> None:
    """Make a secret, and write it after the phone has shown a right first code.

    Root makes one for --user without a code: the user's first login proves it.
    """
    place = _place(**where)
    place.prepare()
    if if_missing and not sys.stdin.isatty():
        return  # a profile script runs for scp and rsync as well
    if place.is_taken():
        if if_missing:
            return
        raise CommandError(f"{place.shown} exists already", _hint(place))
    proves = prove or where["user"] is None
    codes = _make(place, svg, counter=counter, prove=proves)
    say(f"Written: {place.shown}")
    warn_of_one(place.user.name, "a code from a phone")
    if not proves:
        say(f"Not proved: {place.user.name}'s first login shows whether the phone has this secret.")
    _show_codes(codes)


def _place(path: str, user: str | None, **kept: Any) -> SecretPlace:
    """Return where the secret is: the caller's own file, or where the module looks."""
    if user is None and not any(kept.values()):
        account, own = _own(path)
        return SecretPlace(account, account, own)
    if path != OWN_FILE:
        raise click.UsageError("--file is the caller's own; with --user use --secret")
    return find_place(user, **kept)


def _hint(place: SecretPlace) -> str:
    if place.keeper.uid == os.geteuid():
        return "trex totp show"
    return "remove it, if its phone is lost: then a new one can be made"


def _make(place: SecretPlace, svg: str | None, *, counter: bool, prove: bool) -> list[str]:
    """Show a new secret, have it written after a first code, or without; return emergency codes."""
    from trex.cli.setup import phone

    otp = phone.new_otp(counter=counter)
    codes = _emergency_codes()
    with phone.shown_secret(otp, place.user, svg):
        used = phone.first_code(otp) if prove else None
        after = phone.FIRST_COUNTER if used is None else used + 1
        options = (*OPTIONS, *(COUNTER_BASED if counter else TIME_BASED))
        lines = [
            otp.secret,
            *(
                one.format(used="" if used is None else used, next=after).rstrip()
                for one in options
            ),
            *([f'" {OWNER} {place.user.uid}'] if place.is_kept_elsewhere else []),
            *codes,
        ]
        place.create("".join(f"{line}\n" for line in lines).encode("ascii"))
    return codes


@command.command("show")
@_with_place
@_with_svg
@_with_file
def show_secret(svg: str | None, **where: Any) -> None:
    """Show the QR code again, for a second phone or a backup."""
    place = _place(**where)
    from trex.cli.setup import phone

    state = place.read()
    otp = phone.otp_of(state)
    if otp is None:
        raise CommandError(
            f"{place.shown}: expected TOTP_AUTH or HOTP_COUNTER, found neither: no code is right"
        )
    with phone.shown_secret(otp, place.user, svg):
        if state.counter:
            say("Counting goes on from the next code: only one device can use this secret.")


@command.command()
@_with_place
@_with_file
def codes(**where: Any) -> None:
    """Replace the emergency codes by new ones; the secret stays."""
    place = _place(**where)
    fresh = _emergency_codes()
    place.replace_codes(fresh)
    _show_codes(fresh)


def _own(path: str) -> tuple[Account, str]:
    """Return the caller's account, and the path. Root makes a secret only for root."""
    account = find_account(readable(pwd.getpwuid(os.geteuid()).pw_name))
    if path.startswith("~/"):
        path = os.path.join(readable(account.home), path[2:])
    return account, native(os.path.abspath(path))


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
