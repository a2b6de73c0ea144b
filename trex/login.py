"""The story of one login, with no PAM in it."""

import os
from contextlib import ExitStack

from trex.errors import NOT_ASKED, NoRecord, OptionError, Outcome, UserUnknown
from trex.openpgp import Gpg
from trex.options import Options, expand, parse_options
from trex.privilege import acting_as, find_account, native, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.authfile import AuthRecord
    from trex.privilege import Account

    Reminder = Callable[[], str]


class Login:
    """Who asks for what, and what there is to say about it in the log."""

    def __init__(self, user: str, service: str, remote_host: str, arguments: list[str]) -> None:
        self.user = user
        self.service = service
        self.remote_host = remote_host
        self.arguments = arguments  # the module's, without its name
        self.debug = False
        self.steps: list[str] = []
        self.warnings: list[str] = []
        self.fingerprints: list[str] = []
        self.reminder: Reminder | None = None  # for a user who was let in

    def note(self, record: "AuthRecord") -> None:
        """Note what the record says, and what is to be warned of in it."""
        self.warnings += record.warnings
        signer = f", signed as {record.sign_as}" if record.sign_as else ""
        self.steps.append(f"line {record.line}: to {', '.join(record.recipients)}{signer}")


def log_in(login: Login, ask: "Callable[[str], str | None]") -> Outcome:
    """Ask one challenge and judge one response. `ask` shows a prompt and brings the response.

    Raises a TrexError where that cannot be done; its `outcome` is the verdict then.
    """
    options = parse_options(login.arguments)
    login.debug = options.debug
    account = find_account(login.user)
    reader = find_servant("run_as", options.run_as) if options.run_as else account
    if options.web_user != Options.web_user:
        find_servant("web_user", options.web_user)
    login.steps.append(f"acting as {reader.name}")
    path, home = place(options.auth_file, account), place(options.gnupg_home, account)
    if is_absent(path, reader):
        if options.nullok:
            return NOT_ASKED
        raise NoRecord(f"{readable(path)}: no such file")
    with ExitStack() as until_judged:
        with Gpg(options.gpg, reader, home, options.gpg_timeout) as gpg:
            # gpg takes its time to start. What it does not wait for is loaded meanwhile.
            from trex.audit import write_notes
            from trex.authfile import parse_record
            from trex.challenge import Challenge
            from trex.prompt import context, prompt_text
            from trex.safefile import read_safely

            with acting_as(reader):
                content = read_safely(path, reader)
            record = parse_record(content, path, readable(account.home))
            login.note(record)
            challenge = Challenge(options.timeout)
            page = None
            if record.web_qr and options.web:
                from trex.webqr import Page

                page = until_judged.enter_context(Page(login, options, record))
                page.open(reader, account, challenge.deadline)
            told = context(login.user, login.service, login.remote_host, options.timeout)
            message = gpg.encrypt(challenge.plaintext, record, told)
        login.fingerprints = message.fingerprints
        login.reminder = lambda: remind(options, reader, home, record)
        where = page.show(message.armored) if page else ""
        write_notes(login)
        login.steps.append(f"asked with a message of {len(message.armored)} characters")
        question = prompt_text(
            account.name, message.armored, where, options.timeout, options.prompt
        )
        return challenge.judge(ask(question))


def remind(options: Options, reader: "Account", home: str, record: "AuthRecord") -> str:
    """Return what to tell a user whose key will soon expire, "" if none will."""
    from trex.reminder import look_ahead  # after the login, which waits for it no longer than this

    return look_ahead(options, reader, home, record)


def find_servant(argument: str, name: str) -> "Account":
    """Return the account that an argument names to do a part of the work without root's rights.

    Raises OptionError for one that does not exist, or is root.
    """
    try:
        servant = find_account(name)
    except UserUnknown as error:
        raise OptionError(f"{argument}={name}: {error}") from None
    if servant.uid == 0:
        raise OptionError(f"{argument}={name}: an account without root's rights is meant")
    return servant


def is_absent(path: str, reader: "Account") -> bool:
    """Tell whether there is nothing at `path`: not whether it may be read, or is fit to be."""
    with acting_as(reader):
        try:
            os.lstat(path)
        except FileNotFoundError:
            return True
        except OSError:  # read_safely says what is wrong
            return False
    return False


def place(template: str, account: "Account") -> str:
    """Expand a path for `account`, ready for `os` calls."""
    return native(expand(template, user=account.name, home=readable(account.home)))
