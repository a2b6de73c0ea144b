"""Between PAM and the story: values in, one PAM code out, one line in the log."""

import sys
from time import monotonic

from trex.errors import (
    ACCEPTED,
    CONVERSATION_FAILED,
    LATE,
    LIMITED,
    MISSING,
    NO_RECORD,
    NOT_ASKED,
    UNAVAILABLE,
    UNFORESEEN,
    USER_UNKNOWN,
    WRONG,
    ConversationFailed,
    ForeignLibrary,
    NotGivenBack,
    Outcome,
    TrexError,
    UserUnknown,
)
from trex.login.method import Login
from trex.login.story import log_in
from trex.login.witness import bear_witness
from trex.system.sigchld import OwnChildren

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from trex.login.method import Reminder

    class Response(Protocol):
        """What the application returned (pam_conv(3))."""

        resp: str | None

    class PamHandle(Protocol):
        """The part of pam_python's handle that is used here."""

        PAM_SILENT: int
        PAM_PROMPT_ECHO_ON: int
        PAM_PROMPT_ECHO_OFF: int
        PAM_ERROR_MSG: int
        PAM_TEXT_INFO: int
        PAM_SUCCESS: int
        PAM_IGNORE: int
        PAM_SYSTEM_ERR: int
        exception: type[Exception]
        authtok: str | None

        def get_user(self, prompt: str | None = None) -> str | None: ...
        def Message(self, style: int, text: str) -> object: ...  # noqa: N802 (pam_python's name)
        def conversation(self, message: object) -> Response: ...
        def fail_delay(self, microseconds: int) -> None: ...


# libpython takes its standard library from beside the first `python3` on PATH: /usr/bin, or /bin,
# which is the same. Any other one is not the system's. If an attacker planted it, their code runs
# already, and all that is left is to refuse.
SYSTEM_PREFIXES = ("/usr", "/")
FAIL_DELAY_US = 2_000_000

PAM_CODES = {
    ACCEPTED: "PAM_SUCCESS",
    WRONG: "PAM_AUTH_ERR",
    MISSING: "PAM_AUTH_ERR",
    LATE: "PAM_AUTH_ERR",
    USER_UNKNOWN: "PAM_USER_UNKNOWN",
    NO_RECORD: "PAM_AUTHINFO_UNAVAIL",
    NOT_ASKED: "PAM_IGNORE",
    UNAVAILABLE: "PAM_AUTHINFO_UNAVAIL",
    LIMITED: "PAM_AUTHINFO_UNAVAIL",
    CONVERSATION_FAILED: "PAM_CONV_ERR",
    UNFORESEEN: "PAM_SYSTEM_ERR",
}

FINAL = "PAM_MAXTRIES"  # with one_try, for every refusal: none tells more than another
NO_REFUSAL = ACCEPTED, NOT_ASKED  # only to recognise refusals: other modules set both

# What the user is told besides the refusal itself; reasons are only for the log.
EXPLANATIONS = {
    WRONG: "Trex: this response was wrong. If you are asked again, it is a new challenge.",
    LATE: "Trex: this response came too late.",
    UNAVAILABLE: "Trex: this login could not be checked; the system's log says why.",
}
EXPLANATIONS[LIMITED] = EXPLANATIONS[UNAVAILABLE]


def authenticate(pamh: "PamHandle", flags: int, arguments: list[str]) -> int:
    """Run one login and return its PAM code; whatever goes wrong is a refusal."""
    started = monotonic()
    outcome, detail, reminder = UNFORESEEN, "", ""
    login = Login("", _item(pamh, "service"), _item(pamh, "rhost"), arguments)
    try:
        login.caller = getattr(pamh, "caller", login.caller)
        login.invoker = _item(pamh, "ruser")
        login.user = _user(pamh)
        _check_library()
        with OwnChildren() as children:
            outcome = log_in(login, _Conversation(pamh, children))
            detail = login.remark
            if login.reminder and outcome in NO_REFUSAL:
                reminder = _reminder(login.reminder)
    except TrexError as error:
        outcome, detail = error.outcome, str(error)
    except BaseException as error:
        outcome, detail = UNFORESEEN, _frames(error)
    # loaded before the prompt, if there was one
    from trex.login.audit import write_verdict

    write_verdict(login, outcome, detail, monotonic() - started)
    silent = bool(flags & pamh.PAM_SILENT)
    if outcome not in NO_REFUSAL:
        _refuse(pamh, outcome, silent=silent)
    elif reminder and not silent:
        _tell(pamh, reminder)
    _keep_libpython()
    is_final = login.one_try and outcome not in NO_REFUSAL
    code: int = getattr(pamh, FINAL if is_final else PAM_CODES[outcome])
    if code == pamh.PAM_SUCCESS and not login.remark:  # whoever was not asked has tried nothing
        bear_witness(login)
    return code


def _check_library() -> None:
    if sys.base_prefix not in SYSTEM_PREFIXES:
        raise ForeignLibrary(f"PATH led to the Python library in {sys.base_prefix}")


def _user(pamh: "PamHandle") -> str:
    """Return the user that the application names, or have it ask (pam_get_user(3))."""
    try:
        return pamh.get_user(None) or ""
    except UnicodeDecodeError:
        raise UserUnknown("the user name is not UTF-8") from None
    except pamh.exception:
        raise ConversationFailed("the application did not say who logs in") from None


def _item(pamh: "PamHandle", name: str) -> str:
    try:
        return getattr(pamh, name) or ""
    except UnicodeDecodeError:
        return "?"


class _Conversation:
    """The story's questions in PAM's terms (pam_conv(3), pam_get_item(3))."""

    def __init__(self, pamh: "PamHandle", children: OwnChildren) -> None:
        self._pamh = pamh
        self._children = children

    def ask(self, question: str, *, echo: bool) -> str | None:
        """Show a prompt and return the response."""
        style = self._pamh.PAM_PROMPT_ECHO_ON if echo else self._pamh.PAM_PROMPT_ECHO_OFF
        try:
            with self._children.paused():
                return self._pamh.conversation(self._pamh.Message(style, question)).resp
        except UnicodeDecodeError:
            return "\ufffd"  # not UTF-8: a wrong response
        except self._pamh.exception:
            raise ConversationFailed("the application could not ask the user") from None

    def inform(self, text: str) -> None:
        """Show a text, even with PAM_SILENT: nobody can answer the following prompt without it."""
        try:
            with self._children.paused():
                self._pamh.conversation(self._pamh.Message(self._pamh.PAM_TEXT_INFO, text))
        except self._pamh.exception:
            raise ConversationFailed("the application could not show the message") from None

    def earlier_password(self) -> str | None:
        """Return what an earlier module asked for."""
        try:
            return self._pamh.authtok
        except UnicodeDecodeError:
            return None

    def pass_on(self, password: str) -> None:
        """Pass a password on to the next module."""
        try:
            self._pamh.authtok = password
        except (UnicodeError, ValueError, self._pamh.exception):
            raise ConversationFailed("the password could not be passed on") from None


def _refuse(pamh: "PamHandle", outcome: Outcome, *, silent: bool) -> None:
    """Ask for the delay that slows guessing, and tell the user what they may know."""
    try:
        pamh.fail_delay(FAIL_DELAY_US)
        if not silent and outcome in EXPLANATIONS:
            pamh.conversation(pamh.Message(pamh.PAM_ERROR_MSG, EXPLANATIONS[outcome]))
    except Exception:  # optional: the verdict does not depend on it
        return


def _reminder(look_ahead: "Reminder") -> str:
    """Return what a user who was let in should know, so that the next login is not refused.

    Raises NotGivenBack.
    """
    try:
        return look_ahead()
    except NotGivenBack:
        raise
    except BaseException:  # optional: the verdict does not depend on it
        return ""


def _tell(pamh: "PamHandle", text: str) -> None:
    try:
        pamh.conversation(pamh.Message(pamh.PAM_TEXT_INFO, text))
    except BaseException:  # optional, too
        return


def _keep_libpython() -> None:
    """Load some extension module from `lib-dynload`: it keeps libpython in the process.

    pam_python finalizes Python after each login and unloads it. An application that authenticates
    many times then grows by 2 MB a login, and by a fraction of that if libpython stays loaded.
    """
    try:
        import _contextvars  # noqa: F401 (the smallest that both Debian 12 and 13 have there)
    except Exception:  # then it grows; the verdict does not depend on it
        return


def _frames(error: BaseException) -> str:
    """Return the kind of an unforeseen error and where it was raised.

    Neither its message nor values: those may contain the response or the challenge.
    """
    from traceback import extract_tb

    frames = [
        f"{frame.filename}:{frame.lineno} in {frame.name}"
        for frame in extract_tb(error.__traceback__)
    ]
    return f"{type(error).__name__} at " + ", ".join(frames)
