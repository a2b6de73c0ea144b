"""method=sms: a random PIN that goes to the user's telephone."""

import os
from contextlib import contextmanager

from trex.errors import PrivilegeError, ProgramFailed
from trex.login.challenge import OneText, random_digits, spoken_duration
from trex.login.method import find_sender
from trex.sms.errors import NotSent
from trex.sms.phones import number_from_gecos, numbers_from_map
from trex.sms.settings import read_settings
from trex.system.servant import have_done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.login.challenge import Challenge
    from trex.login.method import Login
    from trex.login.options import Options
    from trex.sms.settings import Table
    from trex.system.privilege import Account

QUESTION = "PIN: "
SENT = "sent"


@contextmanager
def prepare(
    login: "Login",
    options: "Options",
    account: "Account",
    reader: "Account",  # noqa: ARG001 (nothing of the user's is read)
) -> "Iterator[Challenge]":
    """Send a PIN, or raise NotSent, NoRecord for a user without a number, and others."""
    if os.geteuid() != 0:
        raise PrivilegeError("only where root calls PAM can a PIN be sent")
    if options.gecos_phone:
        numbers = number_from_gecos(account)
    else:
        numbers = numbers_from_map(options.phones, account.name)
    settings = read_settings(options.sms_file)
    servant = find_sender(options, account)
    pin = random_digits(options.digits)
    challenge = OneText(pin, options.timeout)
    challenge.echo = options.echo
    holds = spoken_duration(options.timeout)
    text = f"{pin} is the PIN for a login at {os.uname().nodename}. It holds for {holds}."
    login.steps.append(send(servant, account.name, numbers, text, settings))
    ends = " and ".join(f"..{number[-2:]}" for number in numbers)
    challenge.question = (
        f"\nTrex: a PIN was sent to {ends}. It holds for {holds}.\n{options.prompt or QUESTION}"
    )
    yield challenge


def send(servant: "Account", user: str, numbers: list[str], text: str, settings: "Table") -> str:
    """Have a process of `servant`'s send `text`; return which gateway took it.

    Raises NotSent with what the log is to say.
    """
    told = {
        **settings, "user": user, "host": os.uname().nodename, "numbers": numbers, "text": text,
    }  # fmt: skip
    try:
        word, reason = have_done(servant, "sms/send.py", told)
    except ProgramFailed as error:
        raise NotSent(str(error)) from None
    if word != SENT:
        raise NotSent(reason)
    return f"the PIN was sent: {reason}"
