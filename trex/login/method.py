"""What a method is, a way to answer a login, and what methods share: each has a room of its own.

A method is a module with `prepare(login, options, account, reader)`, which returns a
`trex.login.challenge.Challenge`, or raises an error and leaves nothing behind. Its `question` is
what to show, its `deadline` how long it is valid, `judge` tells whether a response is right, and
`end` is called after the judgement. For a grace period the module also has `basis`. `account` logs
in; the method works with the rights of `reader`. `prepare` raises NoRecord for an account that is
not set up for the method.
"""

import os

from trex.errors import NoRecord, OptionError, UserUnknown
from trex.login.options import expand
from trex.system.privilege import acting_as, find_account, native, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from trex.login.challenge import Challenge
    from trex.login.options import Options
    from trex.system.privilege import Account

    Reminder = Callable[[], str]  # what to tell a user who was let in

    class Method(Protocol):
        """What the story needs from a method's module."""

        def prepare(
            self, login: "Login", options: Options, account: Account, reader: Account, /
        ) -> Challenge:
            """Prepare the challenge, which the story ends after the judgement."""

        def basis(
            self, login: "Login", options: Options, account: Account, reader: Account, /
        ) -> bytes:
            """Return what `Challenge.basis` would be now. Raises what `prepare` raises."""


class Login:
    """Who logs in to which service, and what the log says about it."""

    def __init__(self, user: str, service: str, remote_host: str, arguments: list[str]) -> None:
        self.user = user  # as typed: databases of accounts may know it in another case
        self.account = ""  # as its database has it
        self.service = service
        self.remote_host = remote_host
        self.arguments = arguments  # the module's, without its name
        self.caller = os.getpid()  # the application
        self.invoker = ""  # who has started it, as it says (PAM_RUSER)
        self.method = ""  # until the arguments are read
        self.debug = False
        self.one_try = False
        self.steps: list[str] = []
        self.warnings: list[str] = []
        self.fingerprints: list[str] = []
        self.reminder: Reminder | None = None
        self.remark = ""  # why it was accepted without a question


def find_servant(argument: str, name: str) -> "Account":
    """Return the account in an argument that does a part of the work without root's rights.

    Raises OptionError if it does not exist, or is root.
    """
    try:
        servant = find_account(name)
    except UserUnknown as error:
        raise OptionError(f"{argument}={name}: {error}") from None
    if servant.uid == 0:
        raise OptionError(f"{argument}={name}: expected an account other than root")
    servant.serves = True
    return servant


def find_sender(options: "Options", account: "Account") -> "Account":
    """Return the account that sends messages and asks Redis: not `account`, which logs in.

    That process gets credentials and URLs, which no user may see. Raises OptionError.
    """
    sender = find_servant("sms_user", options.sms_user)
    if sender.uid == account.uid:
        raise OptionError(f"sms_user={sender.name}: expected an account other than the user's")
    return sender


def find_record(template: str, account: "Account", reader: "Account") -> str:
    """Return the path that `template` gives for `account`, ready for `os` calls.

    Raises NoRecord if there is no such file, but not if it cannot be read or is unsafe.
    """
    path = expand_path(template, account)
    if is_absent(path, reader):
        raise NoRecord(f"{readable(path)}: no such file")
    return path


def is_absent(path: str, reader: "Account") -> bool:
    """Tell whether there is nothing at `path`; what is there may still be unreadable or unsafe."""
    with acting_as(reader):
        try:
            os.lstat(path)
        except FileNotFoundError:
            return True
        except OSError:  # reading it will say what is wrong
            return False
    return False


def expand_path(template: str, account: "Account") -> str:
    """Return the path that `template` gives for `account`, ready for `os` calls."""
    return native(expand(template, user=account.name, home=readable(account.home)))
