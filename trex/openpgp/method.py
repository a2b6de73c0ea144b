"""method=openpgp: a random text that gpg encrypts to the user's key."""

from trex.login.method import expand_path, find_record, find_servant
from trex.login.options import QR_KINDS, Options
from trex.openpgp.gpg import Gpg
from trex.openpgp.record import check_account, parse_record
from trex.openpgp.standing import Standing
from trex.system.privilege import acting_as, readable
from trex.system.safefile import read_safely

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.challenge import Challenge
    from trex.login.method import Login
    from trex.openpgp.prompt import Encrypted
    from trex.openpgp.record import AuthRecord
    from trex.system.privilege import Account


def prepare(login: "Login", options: Options, account: "Account", reader: "Account") -> "Challenge":
    """Encrypt a challenge as the user's record says, and show it, if asked for on a page too."""
    if options.web_user != Options.web_user:
        find_servant("web_user", options.web_user)
    path = find_record(options.auth_file, account, reader)
    home = expand_path(options.gnupg_home, account)
    standing = Standing(options, account, reader, path, home)
    with acting_as(reader):
        content = read_safely(path, reader)
    record = parse_record(content, path, readable(account.home))
    check_account(record, path, account)
    standing.watch(record)
    challenge = None
    try:
        with gpg_for(record)(options.gpg, reader, home, options.gpg_timeout) as gpg:
            gpg.look_up(record)
            note(login, record)
            # The rest is imported while gpg starts and lists keys.
            challenge = challenge_for(record, options.timeout)
            challenge.standing = standing
            if record.web_qr and options.web:
                from trex.page.start import Page

                challenge.page = Page(login, options, record)
                challenge.page.open(reader, account, challenge.deadline)
            if background := background_of(record, options):
                from trex.page.terminal import TerminalCode

                challenge.code = TerminalCode(login, options, background)
                challenge.code.open(reader, account)
            _encrypt(challenge, gpg, login, options, account.name)
            login.reminder = lambda: remind(options, gpg, account)
            standing.keys = gpg.chosen
            challenge.basis = lambda: _resting_on(standing)
    except BaseException:
        if challenge:
            challenge.end()
        raise
    return challenge


def basis(login: "Login", options: Options, account: "Account", reader: "Account") -> bytes:
    """Return the record and its keys that can be asked now, with their subkeys."""
    path = find_record(options.auth_file, account, reader)
    home = expand_path(options.gnupg_home, account)
    found = _resting_on(Standing(options, account, reader, path, home))

    def notice() -> str:
        from trex.recovery.notice import after_use

        return after_use(options, account, reader)

    login.reminder = notice
    return found


def _resting_on(standing: Standing) -> bytes:
    """Return what a success rests on, b"" if that has changed since the standing was made.

    A record that was changed and changed back is another one. Nor does anything stand for two
    people: one of them could be alone the next time.
    """
    content, able = standing.able()
    if standing.asks_for_two or not standing.is_unchanged():
        return b""
    keys = sorted(" ".join([key, *sorted(subkeys)]) for key, subkeys in able.items())
    return "\n".join([*keys, standing.written, ""]).encode() + content


def gpg_for(record: "AuthRecord") -> type[Gpg]:
    """Return the gpg that encrypts as a record asks: to its keys, or a text of its own to each."""
    if record.needed == 1:
        return Gpg
    from trex.openpgp.apart import Apart  # which few logins need

    return Apart


def challenge_for(record: "AuthRecord", seconds: float) -> "Encrypted":
    """Return a new challenge of as many texts as the record asks for."""
    if record.needed == 1:
        from trex.openpgp.prompt import Encrypted

        return Encrypted(seconds)
    from trex.openpgp.apart import TwoTexts

    return TwoTexts(record.recipients, seconds)


def _encrypt(challenge: "Encrypted", gpg: Gpg, login: "Login", options: Options, user: str) -> None:
    """Have the challenge encrypted, and make its question of the message."""
    from trex.openpgp.hostkeys import host_keys
    from trex.openpgp.prompt import context

    keys = host_keys(options.host_keys, login.warnings)
    told = context(login.user, login.service, login.remote_host, options.timeout, keys)
    try:
        gpg.encrypt(challenge.plaintext, told)
        import trex.login.audit  # noqa: F401 (the story needs it later; gpg runs meanwhile)

        message = gpg.message()
    finally:
        login.warnings += gpg.warnings
        login.warnings += [f"left out, as the record says: {why}" for why in gpg.left_out.values()]
    login.fingerprints = message.keys
    challenge.asked(gpg.chosen, login.fingerprints)
    where = challenge.page.show(message.armored) if challenge.page else ""
    where += challenge.code.show(message.armored) if challenge.code else ""
    login.steps.append(f"asked with a message of {len(message.armored)} characters")
    challenge.question = challenge.prompt(
        user, message.armored, where, options.timeout, options.prompt
    )
    if options.message == "info":
        challenge.information, _, challenge.question = challenge.question.rpartition("\n")


def background_of(record: "AuthRecord", options: Options) -> str:
    """Return for which terminal the prompt has a QR code, "dark" or "light"; "" for none."""
    if options.qr == "off" or record.needed > 1:  # one code has one message
        return ""
    return record.terminal_qr or QR_KINDS[options.qr]


def remind(options: Options, gpg: Gpg, account: "Account") -> str:
    """Return what to tell a user who was let in, "" for nothing."""
    # imported only after the verdict
    from trex.openpgp.reminder import reminders

    return reminders(options, gpg, account)


def note(login: "Login", record: "AuthRecord") -> None:
    """Note for the log what the record says, and its warnings."""
    login.warnings += record.warnings
    signer = f", signed as {record.sign_as}" if record.sign_as else ""
    names = ", ".join(record.recipients)
    who = names if record.needed == 1 else f"two of {names}"
    login.steps.append(f"line {record.line}: to {who}{signer}")
