"""Show a new secret for the phone, and ask for a first code."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

import click
import pyotp

from trex.cli.errors import CommandError
from trex.cli.setup.newfile import NewFile
from trex.cli.setup.qr import as_svg, in_terminal
from trex.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.system.privilege import Account
    from trex.totp.state import OtpState

    Otp = pyotp.TOTP | pyotp.HOTP

SECRET_BYTES = 20  # RFC 4226, section 4, R6 recommends 160 bits
FIRST_COUNTER = 1  # in the file, 0 means no counter
FIRST_COUNTERS = 3  # counters whose codes are accepted
TRIES = 3


def new_otp(*, counter: bool) -> Otp:
    """Make a secret for codes from a counter or from the clock."""
    secret = pyotp.random_base32(SECRET_BYTES * 8 // 5)
    return pyotp.HOTP(secret, initial_count=FIRST_COUNTER) if counter else pyotp.TOTP(secret)


def otp_of(state: OtpState) -> Otp | None:
    """Return the generator of a file's codes, None for a file without codes."""
    if state.counter:
        return pyotp.HOTP(state.secret, initial_count=state.counter)
    return pyotp.TOTP(state.secret, interval=state.step) if state.is_time_based else None


@contextmanager
def shown_secret(otp: Otp, account: Account, svg: str | None) -> Iterator[None]:
    """Show the QR code and the secret, and write the QR code to the file `svg`.

    If the block fails or is interrupted, that file is removed: its secret is of no use.
    Raises CommandError where the file cannot be created; an existing file is not changed.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    host = os.uname().nodename
    address = otp.provisioning_uri(name=f"{account.name}@{host}", issuer_name=host)
    click.echo(in_terminal(address))
    words = " ".join(otp.secret[start : start + 4] for start in range(0, len(otp.secret), 4))
    click.echo(f"Without a camera, type: {words}")
    with ExitStack() as made:
        if svg:
            try:
                made.enter_context(NewFile(svg, as_svg(address)))
            except OSError as error:
                raise CommandError(f"{svg}: {error.strerror}", "another --svg FILE") from None
            say(f"Written: {svg}, which is as secret as the QR code in it")
        yield


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def first_code(otp: Otp) -> int:
    """Ask for a code until one is right; return its step or counter."""
    for _ in range(TRIES):
        answer = click.prompt("The code that the phone shows now", err=True).replace(" ", "")
        for step in _first_steps(otp):
            if otp.generate_otp(step) == answer:
                return step
        if isinstance(otp, pyotp.TOTP):
            say("Wrong code. Are the clocks of the phone and of this host right?")
        else:
            say("Wrong code. Is it one of the first codes of this secret?")
    raise CommandError("no right code, so nothing was written")


def _first_steps(otp: Otp) -> range:
    """Return the steps or counters whose codes are accepted as the first."""
    if isinstance(otp, pyotp.HOTP):
        return range(FIRST_COUNTER, FIRST_COUNTER + FIRST_COUNTERS)
    here = int(time.time()) // otp.interval
    return range(here - 1, here + 2)
