"""What a login can come to, and why it could not be checked: each leaf one sentence in the log.

A wrong answer is an `Outcome` and no error; an error says that no answer could be judged.
No message may hold a challenge, a response or key material. Errors that only one room raises are in
that room (`trex.openpgp.errors`, `trex.sms.errors`, `trex.totp.errors`): most logins do not need
them, and each class takes time to make.
"""


class Outcome:
    """The verdict on one login, as the log says it; an `enum` would take longer to make."""

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
LIMITED = Outcome("could not check")  # by a limit that was reached: whoever asks can bring it about
CONVERSATION_FAILED = Outcome("the conversation failed")
UNFORESEEN = Outcome("unforeseen error")


MAX_QUOTED = 60  # characters of a word from a file, in a message
MAX_PLACE = 255  # of a path
MAX_MESSAGE = 1000  # of a message, whatever is in it


def cut(text: str, most: int = MAX_QUOTED) -> str:
    """Return what is repeated of another's text in a message: so many characters at most."""
    return text if len(text) <= most else f"{text[:most]}..."


class TrexError(Exception):
    """The root; `outcome` is what the login comes to. No message is longer than MAX_MESSAGE."""

    outcome = UNAVAILABLE

    def __init__(self, message: str = "") -> None:
        super().__init__(cut(message, MAX_MESSAGE))


class UserUnknown(TrexError):
    """There is no such account, or its name is not one that an account may have."""

    outcome = USER_UNKNOWN


class NoRecord(TrexError):
    """The user has no `.auth_gpg`."""

    outcome = NO_RECORD


class ConversationFailed(TrexError):
    """The application could not show the prompt or bring an answer."""

    outcome = CONVERSATION_FAILED


class ForeignLibrary(TrexError):
    """Python runs with another standard library than the system's (docs/security.md)."""


class OptionError(TrexError):
    """A module argument in the PAM service file is unknown or malformed."""


class RecordError(TrexError):
    """A line of a record says something that it may not say."""

    def __init__(self, path: str, line: int, found: str, expected: str) -> None:
        told = f"expected {cut(expected, MAX_PLACE)}, found {cut(found, MAX_PLACE)}"
        super().__init__(f"{cut(path, MAX_PLACE)}:{line}: {told}")
        self.path = path
        self.line = line
        self.found = found
        self.expected = expected


class FileUnsafe(TrexError):
    """A file or directory cannot be trusted, or not be read."""

    def __init__(self, path: str, found: str, meant: str) -> None:
        told = f"expected {cut(meant, MAX_PLACE)}, found {cut(found, MAX_PLACE)}"
        super().__init__(f"{cut(path, MAX_PLACE)}: {told}")
        self.path = path
        self.found = found
        self.meant = meant


class PrivilegeError(TrexError):
    """The process can not become the account that it must become."""


class NotGivenBack(PrivilegeError):
    """Borrowed ids stay: the caller is not what it was, and whoever logs in is let into nothing."""


class TooManyAttempts(TrexError):
    """A limit was reached, so nothing was compared or sent."""

    outcome = LIMITED


class ProgramFailed(TrexError):
    """A program did not do what it was started for, or not in time."""


class NotStarted(ProgramFailed):
    """A program could not be started."""


class PageUnavailable(TrexError):
    """There is no page for this login; the login goes on without it."""


class OpenPGPError(TrexError):
    """gpg made no message."""


class GpgTimedOut(OpenPGPError):
    """gpg was ended because it did not finish in `gpg_timeout=` seconds."""


class GpgFailed(OpenPGPError):
    """gpg ended without a message, for no reason that `trex.openpgp.errors` names."""
