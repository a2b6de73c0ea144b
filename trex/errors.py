"""Outcomes of a login, the errors because of which one could not be checked, and foreign texts.

A wrong answer is an `Outcome`, not an error; an error says that no answer could be judged. Its
message is the reason in the log, and never contains a challenge, a response or key material.
Errors that only one room raises are in that room (`trex.openpgp.errors`, `trex.sms.errors`,
`trex.totp.errors`): most logins do not need them, and each class takes time to create.

`TYPE_CHECKING = False` stands in each module that a login waits for: `typing` is slow to import.
"""


class Outcome:
    """The verdict on one login, with its text in the log; an `enum` would be slower to create."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"<Outcome: {self.text}>"


ACCEPTED = Outcome("accepted")
WRONG = Outcome("wrong response")
MISSING = Outcome("no response")
LATE = Outcome("late response")
USER_UNKNOWN = Outcome("unknown user")
NO_RECORD = Outcome("no record")
NOT_ASKED = Outcome("not asked, because of nullok")
UNAVAILABLE = Outcome("could not check")
LIMITED = Outcome("could not check")  # because a limit was reached: anyone who logs in can cause it
CONVERSATION_FAILED = Outcome("the conversation failed")
UNFORESEEN = Outcome("unforeseen error")


MAX_QUOTED = 60  # characters of a file's word that a message quotes
MAX_PATH = 255  # of a path, an argument or a list
MAX_MESSAGE = 1000  # of a message, whatever is in it


CUT = "..."


def cut(text: str, most: int = MAX_QUOTED) -> str:
    """Return at most `most` characters of a foreign text, to quote in a message."""
    return text if len(text) <= most else f"{text[:most]}{CUT}"


def one_line(text: str, most: int = 0) -> str:
    r"""Write what is not printable as `\xNN` or `\uNNNN`, so that no name can forge a line.

    A result of more than `most` bytes in UTF-8 is cut and ends in `...`. Every foreign text that is
    shown or logged goes through this one function.
    """
    if most:
        text = text[: most + 1]  # each character makes a byte at least
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
    if not most or len(line.encode("utf-8")) <= most:
        return line
    return line.encode("utf-8")[: most - len(CUT)].decode("utf-8", "ignore") + CUT


class TrexError(Exception):
    """The root of all errors; `outcome` is the verdict. No message is longer than MAX_MESSAGE."""

    outcome = UNAVAILABLE

    def __init__(self, message: str = "") -> None:
        super().__init__(cut(message, MAX_MESSAGE))


class UserUnknown(TrexError):
    """There is no such account, or the name is not valid for an account."""

    outcome = USER_UNKNOWN


class NoRecord(TrexError):
    """The user has no `.auth_gpg`."""

    outcome = NO_RECORD


class ConversationFailed(TrexError):
    """The application could not show the prompt or return an answer."""

    outcome = CONVERSATION_FAILED


class ForeignLibrary(TrexError):
    """Python uses a standard library other than the system's (docs/security.md)."""


class OptionError(TrexError):
    """A module argument in the PAM service file is unknown or malformed."""


class RecordError(TrexError):
    """A line of a record or of another file is malformed."""

    def __init__(self, path: str, line: int, found: str, expected: str) -> None:
        told = f"expected {cut(expected, MAX_PATH)}, found {cut(found, MAX_PATH)}"
        super().__init__(f"{cut(path, MAX_PATH)}:{line}: {told}")
        self.path = path
        self.line = line
        self.found = found
        self.expected = expected


class OtherAccount(TrexError):
    """A record was made for an account with another uid, which is `made_for`.

    A name can be given to another account later, which must not inherit the record.
    """

    def __init__(self, path: str, name: str, uid: int, made_for: int) -> None:
        super().__init__(
            f"{cut(path, MAX_PATH)}: expected uid={uid}, which is {cut(name, MAX_PATH)}'s, found "
            f"uid={made_for}: it was made for another account"
        )
        self.path = path
        self.name = name
        self.uid = uid
        self.made_for = made_for


ABSENT, OWNER, WRITABLE, READABLE, OTHER = "absent", "owner", "writable", "readable", "other"


class FileUnsafe(TrexError):
    """A file or directory cannot be trusted, or cannot be read.

    `kind` is one of the words above. ABSENT: there is none. OWNER: it belongs to another account
    than `owner` (for every other kind ""). WRITABLE: others can write it. READABLE: its mode allows
    more than 0600.
    """

    def __init__(
        self, path: str, found: str, expected: str, kind: str = OTHER, owner: str = ""
    ) -> None:
        told = f"expected {cut(expected, MAX_PATH)}, found {cut(found, MAX_PATH)}"
        super().__init__(f"{cut(path, MAX_PATH)}: {told}")
        self.path = path
        self.found = found
        self.expected = expected
        self.kind = kind
        self.owner = owner


class PrivilegeError(TrexError):
    """The process cannot become the account that it has to become."""


class NotGivenBack(PrivilegeError):
    """Borrowed ids could not be given back: the caller has changed, so the login is refused."""


class TooManyAttempts(TrexError):
    """A limit was reached, so nothing was compared or sent."""

    outcome = LIMITED


class ProgramFailed(TrexError):
    """A program did not do what it was started for, or not in time."""


class NotStarted(ProgramFailed):
    """A program could not be started."""


class PageUnavailable(TrexError):
    """There is no page for this login, which continues without it."""


class OpenPGPError(TrexError):
    """gpg made no message."""


class GpgTimedOut(OpenPGPError):
    """gpg was ended because it did not finish in `gpg_timeout=` seconds."""


class GpgFailed(OpenPGPError):
    """gpg ended without a message, for no reason that `trex.openpgp.errors` names."""
