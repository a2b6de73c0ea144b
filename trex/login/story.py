"""The story of one login, with no PAM in it."""

from trex.errors import NOT_ASKED, NoRecord, Outcome
from trex.login.method import find_servant
from trex.login.options import parse_options
from trex.system.privilege import find_account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.challenge import Conversation
    from trex.login.method import Login, Method


def log_in(login: "Login", conversation: "Conversation") -> Outcome:
    """Ask one challenge and judge one response.

    Raises a TrexError if that is not possible; its `outcome` is then the verdict.
    """
    options = parse_options(login.arguments)
    login.method = options.method
    login.debug = options.debug
    login.one_try = options.one_try
    account = find_account(login.user)
    login.account = account.name
    reader = find_servant("run_as", options.run_as) if options.run_as else account
    login.steps.append(f"acting as {reader.name}")
    try:
        challenge = method_named(options.method).prepare(login, options, account, reader)
    except NoRecord:
        if options.nullok:
            return NOT_ASKED
        raise
    with challenge:
        # before the prompt: an upgrade may remove its file
        from trex.login.audit import write_notes

        write_notes(login)
        return challenge.judge(challenge.obtain(conversation))


def method_named(name: str) -> "Method":
    """Import only this method's module; `trex.login.options.METHODS` has the names."""
    method: Method = __import__(f"trex.{name}.method", fromlist=["prepare"])
    return method
