"""method=openpgp: a random text that gpg encrypts to the user's key."""

from contextlib import ExitStack, contextmanager

from trex.login.method import expand_path, find_record, find_servant
from trex.login.options import Options
from trex.openpgp.gpg import Gpg
from trex.system.privilege import acting_as, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.login.challenge import Challenge
    from trex.login.method import Login
    from trex.openpgp.record import AuthRecord
    from trex.system.privilege import Account

QUESTION = "Response: "


@contextmanager
def prepare(
    login: "Login", options: Options, account: "Account", reader: "Account"
) -> "Iterator[Challenge]":
    """Encrypt a challenge as the user's record says, and show it, if asked for on a page too."""
    if options.web_user != Options.web_user:
        find_servant("web_user", options.web_user)
    path = find_record(options.auth_file, account, reader)
    home = expand_path(options.gnupg_home, account)
    with ExitStack() as until_judged:
        with Gpg(options.gpg, reader, home, options.gpg_timeout) as gpg:
            # The rest is imported while gpg starts and lists keys.
            from trex.openpgp.record import parse_record
            from trex.system.safefile import read_safely

            with acting_as(reader):
                content = read_safely(path, reader)
            record = parse_record(content, path, readable(account.home))
            gpg.look_up(record)
            from trex.login.challenge import RandomText
            from trex.openpgp.prompt import context, prompt_text

            note(login, record)
            challenge = RandomText(options.timeout)
            page = None
            if record.web_qr and options.web:
                from trex.page.start import Page

                page = until_judged.enter_context(Page(login, options, record))
                page.open(reader, account, challenge.deadline)
            told = context(login.user, login.service, login.remote_host, options.timeout)
            try:
                gpg.encrypt(challenge.plaintext, told)
            finally:
                login.warnings += gpg.warnings
            import trex.login.audit  # noqa: F401 (the story needs it later; gpg runs meanwhile)

            message = gpg.message()
        login.fingerprints = message.keys
        login.reminder = lambda: remind(options, gpg, account.name)
        where = page.show(message.armored) if page else ""
        login.steps.append(f"asked with a message of {len(message.armored)} characters")
        challenge.question = prompt_text(
            account.name, message.armored, where, options.timeout, options.prompt or QUESTION
        )
        if options.message == "info":
            challenge.information, _, challenge.question = challenge.question.rpartition("\n")
        yield challenge


def remind(options: Options, gpg: Gpg, user: str) -> str:
    """Return what to tell a user whose key will soon expire, "" if none will."""
    # imported only after the verdict
    from trex.openpgp.reminder import look_ahead

    return look_ahead(options, gpg, user)


def note(login: "Login", record: "AuthRecord") -> None:
    """Note for the log what the record says, and its warnings."""
    login.warnings += record.warnings
    signer = f", signed as {record.sign_as}" if record.sign_as else ""
    login.steps.append(f"line {record.line}: to {', '.join(record.recipients)}{signer}")
