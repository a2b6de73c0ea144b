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

    With `grace_period=` an earlier success is judged first, as a challenge of its own.
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
    method = method_named(options.method)
    grace = None
    if options.grace_period:
        from trex.login.grace import Grace

        grace = Grace(login, options, account, reader)
        for earlier in grace.earlier_successes(method):
            outcome = earlier.judge(earlier.obtain(conversation))
            if earlier.is_right:
                return outcome
    try:
        challenge = method.prepare(login, options, account, reader)
    except NoRecord:
        if options.nullok:
            return NOT_ASKED
        raise
    with challenge:
        # before the prompt: an upgrade may remove its file
        from trex.login.audit import write_notes

        write_notes(login)
        outcome = challenge.judge(challenge.obtain(conversation))
    if grace and challenge.is_right:
        grace.remember(challenge)
    return outcome


def method_named(name: str) -> "Method":
    """Import only this method's module; `trex.login.options.METHODS` has the names."""
    method: Method = __import__(f"trex.{name}.method", fromlist=["prepare"])
    return method
