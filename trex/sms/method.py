"""method=sms: a random PIN, sent to the user's phone."""

import os

from trex.errors import PrivilegeError, ProgramFailed
from trex.login.challenge import OneText, random_digits, spoken_duration
from trex.login.method import find_sender
from trex.sms.errors import NotSent
from trex.sms.phones import number_from_gecos, numbers_from_map
from trex.sms.settings import read_settings
from trex.system.servant import have_done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.challenge import Challenge
    from trex.login.method import Login
    from trex.login.options import Options
    from trex.sms.settings import Table
    from trex.system.privilege import Account

QUESTION = "PIN: "
SENT = "sent"


def prepare(
    login: "Login",
    options: "Options",
    account: "Account",
    reader: "Account",  # noqa: ARG001 (no file of the user's is read)
) -> "Challenge":
    """Send a PIN, or raise NotSent, NoRecord for a user without a number, and others."""
    if os.geteuid() != 0:
        raise PrivilegeError("a PIN can be sent only if root calls PAM")
    numbers = _numbers(options, account)
    settings = read_settings(options.sms_file)
    servant = find_sender(options, account)
    pin = random_digits(options.digits)
    challenge = OneText(pin, options.timeout)
    challenge.basis = lambda: "\n".join(numbers).encode()
    challenge.echo = options.echo
    lifetime = spoken_duration(options.timeout)
    text = f"{pin} is the PIN for a login at {os.uname().nodename}. It is valid for {lifetime}."
    login.steps.append(send(servant, account.name, numbers, text, settings))
    ends = " and ".join(f"..{number[-2:]}" for number in numbers)
    sent = f"Trex: a PIN was sent to {ends}. It is valid for {lifetime}."
    challenge.question = f"\n{sent}\n{options.prompt or QUESTION}"
    return challenge


def basis(
    login: "Login",  # noqa: ARG001 (nothing is told)
    options: "Options",
    account: "Account",
    reader: "Account",  # noqa: ARG001 (no file of the user's is read)
) -> bytes:
    """Return the user's numbers."""
    return "\n".join(_numbers(options, account)).encode()


def _numbers(options: "Options", account: "Account") -> list[str]:
    if options.gecos_phone:
        return number_from_gecos(account)
    return numbers_from_map(options.phones, account.name, account.uid)


def send(servant: "Account", user: str, numbers: list[str], text: str, settings: "Table") -> str:
    """Send `text` from a process of the account `servant`; return which gateway accepted it.

    Raises NotSent with the reason for the log.
    """
    told = {
        **settings, "user": user, "host": os.uname().nodename, "numbers": numbers, "text": text,
    }  # fmt: skip
    try:
        word, reason = have_done(servant, "trex.sms.send", told)
    except ProgramFailed as error:
        raise NotSent(str(error)) from None
    if word != SENT:
        raise NotSent(reason)
    return f"the PIN was sent: {reason}"
