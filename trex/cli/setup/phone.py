"""A secret on its way to the phone: shown, and a first code back."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

import click
import pyotp

from trex.cli.setup.qr import SvgFile, in_terminal
from trex.cli.terminal import CommandError, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.system.privilege import Account
    from trex.totp.state import OtpState

    Otp = pyotp.TOTP | pyotp.HOTP

SECRET_BYTES = 20  # RFC 4226, section 4, R6 recommends 160 bits
FIRST_COUNTER = 1  # 0 is how the file says that there is none
FIRST_COUNTERS = 3  # as many codes of a counter are right at once
TRIES = 3


def new_otp(*, counter: bool) -> Otp:
    """Make a secret, for codes from a counter or from the clock."""
    secret = pyotp.random_base32(SECRET_BYTES * 8 // 5)
    return pyotp.HOTP(secret, initial_count=FIRST_COUNTER) if counter else pyotp.TOTP(secret)


def otp_of(state: OtpState) -> Otp | None:
    """Return what makes the codes of a file, None where it does not say how."""
    if state.counter:
        return pyotp.HOTP(state.secret, initial_count=state.counter)
    return pyotp.TOTP(state.secret, interval=state.step) if state.is_time_based else None


@contextmanager
def shown(otp: Otp, account: Account, svg: str | None) -> Iterator[None]:
    """Show the QR code and the secret, and write the code where `svg` says.

    Where the block fails or is interrupted, that file goes: its secret is one that nothing takes.
    Raises CommandError where it cannot be made, with whatever is there as it was.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    host = os.uname().nodename
    address = otp.provisioning_uri(name=f"{account.name}@{host}", issuer_name=host)
    click.echo(in_terminal(address))
    words = " ".join(otp.secret[start : start + 4] for start in range(0, len(otp.secret), 4))
    click.echo(f"To be typed where there is no camera: {words}")
    with ExitStack() as made:
        if svg:
            try:
                made.enter_context(SvgFile(address, svg))
            except OSError as error:
                raise CommandError(f"{svg}: {error.strerror}", "another --svg FILE") from None
            say(f"Written: {svg}, which is as secret as the code that it shows")
        yield


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def first_code(otp: Otp) -> int:
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


def _first_places(otp: Otp) -> range:
    """Return the steps or counters whose codes may come first."""
    if isinstance(otp, pyotp.HOTP):
        return range(FIRST_COUNTER, FIRST_COUNTER + FIRST_COUNTERS)
    here = int(time.time()) // otp.interval
    return range(here - 1, here + 2)
