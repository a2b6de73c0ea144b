"""Spending a code for all hosts at once, in the Redis that an SMS settings file names.

Loaded only where the argument `fleet` asks for it.
"""

from trex.errors import ProgramFailed
from trex.login.challenge import random_text
from trex.login.method import find_servant
from trex.sms.errors import SettingsError
from trex.sms.settings import read_settings
from trex.system.secretfile import StateNotWritten
from trex.system.servant import have_done
from trex.totp.errors import CodeSpent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.login.method import Login
    from trex.login.options import Options
    from trex.system.privilege import Account
    from trex.totp.rules import AcceptedCode
    from trex.totp.state import OtpState


def read_fleet(options: "Options") -> str:
    """Return the URL of the fleet's Redis. Raises SettingsError and others."""
    state = str(read_settings(options.sms_file)["state"])
    if state.startswith("file:"):
        expected = "a redis:// URL, which fleet needs"
        raise SettingsError(f"{options.sms_file}: state: expected {expected}")
    return state


def spend_for_all(
    options: "Options", login: "Login", state: "OtpState", accepted: "AcceptedCode"
) -> "Callable[[], None]":
    """Spend a code on all hosts: a shared home does not show the same file everywhere at once.

    Return a function that gives it back, for a login that is refused after all.
    Raises CodeSpent, and StateNotWritten if it is unknown whether the code was spent.
    """
    from hashlib import sha256  # `pyotp` has it

    identified = f"{state.secret} {accepted.text} {accepted.identity}"
    name = sha256(identified.encode()).hexdigest()
    told = {"state": read_fleet(options), "name": name, "token": random_text()}
    servant = find_servant("sms_user", options.sms_user)
    word, reason = _tell_fleet(servant, told, release=False)
    if word == "spent":
        raise CodeSpent("another host of the fleet has accepted this code")
    if word != "claimed":
        raise StateNotWritten(f"the code cannot be spent for the fleet: {reason}")

    def give_back() -> None:
        word, reason = _tell_fleet(servant, told, release=True)
        if word != "released":
            login.steps.append(f"the code could not be given back to the fleet: {reason}")

    return give_back


def _tell_fleet(servant: "Account", told: dict[str, str], *, release: bool) -> tuple[str, str]:
    try:
        return have_done(servant, "trex.totp.claim", {**told, "release": release})
    except ProgramFailed as error:
        return "", str(error)
