"""`trex totp`: a secret for the phone, shown again, and new emergency codes."""

from __future__ import annotations

import os
import pwd
import sys
import time
from typing import TYPE_CHECKING

import click
import pyotp

from trex.challenge import random_digits
from trex.cli.qr import in_terminal, write_svg
from trex.cli.terminal import CommandError, say
from trex.otpfile import create_secret, locked, read_secret
from trex.otpstate import EMERGENCY_DIGITS, OtpState
from trex.privilege import find_account, native, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.privilege import Account

SECRET_BYTES = 20  # RFC 4226, section 4, R6 recommends 160 bits
EMERGENCY_CODES = 5
TRIES = 3
# As `google-authenticator` makes them: a code once, three attempts in half a minute, three at once.
WINDOW = 3
OPTIONS = ('" RATE_LIMIT 3 30', f'" WINDOW_SIZE {WINDOW}')
TIME_BASED = ('" DISALLOW_REUSE {used}', '" TOTP_AUTH')
COUNTER_BASED = ('" HOTP_COUNTER {next}',)
FIRST_COUNTER = 1  # 0 is how the file says that there is none


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
    secret = pyotp.random_base32(SECRET_BYTES * 8 // 5)
    otp = pyotp.HOTP(secret, initial_count=FIRST_COUNTER) if counter else pyotp.TOTP(secret)
    _show(otp, account, svg)
    codes = _emergency_codes()
    try:
        used = _first_code(otp)
        options = (*OPTIONS, *(COUNTER_BASED if counter else TIME_BASED))
        lines = [secret, *(option.format(used=used, next=used + 1) for option in options), *codes]
        create_secret(path, account, "".join(f"{line}\n" for line in lines).encode("ascii"))
    except BaseException:
        if svg:
            os.unlink(svg)  # a secret that nothing takes
        raise
    say(f"Written: {readable(path)}")
    _show_codes(codes)


@command.command()
@_with_svg
@_with_file
def show(path: str, svg: str | None) -> None:
    """Show the QR code again, for a second phone or a backup."""
    account, path = _own(path)
    state = OtpState(read_secret(path, account), readable(path))
    if state.counter:
        _show(pyotp.HOTP(state.secret, initial_count=state.counter), account, svg)
        say("It goes on from the next code: only one device can count on")
    elif state.is_time_based:
        _show(pyotp.TOTP(state.secret, interval=state.step), account, svg)
    else:
        raise CommandError(
            f"{readable(path)} says neither TOTP_AUTH nor HOTP_COUNTER: no code is right"
        )


@command.command()
@_with_file
def codes(path: str) -> None:
    """Make new emergency codes in the place of those that are left; the secret stays."""
    account, path = _own(path)
    fresh = _emergency_codes()
    with locked(path, account) as file:
        state = OtpState(file.content, readable(path))
        state.replace_emergency_codes(fresh)
        file.replace(state.content)
    _show_codes(fresh)


def _own(path: str) -> tuple[Account, str]:
    """Return who runs this, and the path: root can have a secret too, but makes none for others."""
    account = find_account(readable(pwd.getpwuid(os.geteuid()).pw_name))
    if path.startswith("~/"):
        path = os.path.join(readable(account.home), path[2:])
    return account, native(os.path.abspath(path))


def _show(otp: pyotp.TOTP | pyotp.HOTP, account: Account, svg: str | None) -> None:
    host = os.uname().nodename
    address = otp.provisioning_uri(name=f"{account.name}@{host}", issuer_name=host)
    click.echo(in_terminal(address))
    words = " ".join(otp.secret[start : start + 4] for start in range(0, len(otp.secret), 4))
    click.echo(f"To be typed where there is no camera: {words}")
    if svg:
        try:
            write_svg(address, svg)
        except OSError as error:
            raise CommandError(f"{svg}: {error.strerror}", "another --svg FILE") from None
        say(f"Written: {svg}, which is as secret as the code that it shows")


def _first_code(otp: pyotp.TOTP | pyotp.HOTP) -> int:
    """Ask for a code until one is right; return its step or counter."""
    for _ in range(TRIES):
        answer = click.prompt("The code that the phone shows now", err=True).replace(" ", "")
        for place in _first_places(otp):
            if otp.generate_otp(place) == answer:
                return place
        if isinstance(otp, pyotp.TOTP):
            say("That is not it. Is the clock of the phone right, and that of this host?")
        else:
            say("That is not it. Is it one of the first codes of this secret?")
    raise CommandError("no right code, so nothing was written")


def _first_places(otp: pyotp.TOTP | pyotp.HOTP) -> range:
    """Return the steps or counters whose codes may come first."""
    if isinstance(otp, pyotp.HOTP):
        return range(FIRST_COUNTER, FIRST_COUNTER + WINDOW)
    here = int(time.time()) // otp.interval
    return range(here - 1, here + 2)


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
    click.echo("\n".join(emergency))
