"""method=totp: a code from a phone or a token, with google-authenticator's file.

The arguments are pam_google_authenticator's (its manual page), but `echo` for
echo_verification_code, `prompt=` for authtok_prompt= and `run_as=` for user=.
"""

import time
from contextlib import ExitStack, suppress
from functools import partial

from trex.errors import OtherAccount, TooManyAttempts
from trex.login.challenge import Challenge, is_equal
from trex.login.method import find_record, find_sender
from trex.recovery.notice import after_use
from trex.system.packages import from_debian
from trex.system.privilege import readable
from trex.system.rewriting import tries
from trex.system.secretfile import ChangedMeanwhile, StateNotWritten, locked, read_secret
from trex.totp.errors import CodeSpent
from trex.totp.rules import accepted_codes, count_attempt, note_skew, steps_in_window
from trex.totp.state import EMERGENCY_DIGITS, MAX_COUNTER, OtpState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyotp import HOTP

    from trex.login.challenge import Conversation
    from trex.login.method import Login
    from trex.login.options import Options
    from trex.system.privilege import Account
    from trex.totp.rules import AcceptedCode

QUESTION = "Verification code: "
QUESTION_FOR_BOTH = "Password & verification code: "
DIGITS = 6


def prepare(
    login: "Login", options: "Options", account: "Account", reader: "Account"
) -> "OneTimeCode":
    """Check that the user's file can be used, and load what is needed after the prompt."""
    path, state = _find_state(options, account, reader)
    from_debian("pyotp", "python3-pyotp")
    if options.fleet:
        from trex.totp.fleet import read_fleet

        read_fleet(options)
        find_sender(options, account)
    login.reminder = lambda: after_use(options, account, reader)
    challenge = OneTimeCode(login, options, account, reader, path)
    challenge.basis = lambda: _resting_on(state)
    return challenge


def basis(login: "Login", options: "Options", account: "Account", reader: "Account") -> bytes:
    """Return the user's secret, and for which account it was made."""
    found = _resting_on(_find_state(options, account, reader)[1])
    login.reminder = lambda: after_use(options, account, reader)
    return found


def noted_logins(
    options: "Options", account: "Account", reader: "Account"
) -> list[tuple[str, int]]:
    """Return from where and when (Unix time) pam_google_authenticator has let the user in."""
    return _find_state(options, account, reader)[1].last_logins


def _resting_on(state: OtpState) -> bytes:
    return f"{state.secret} {state.uid}".encode()


def _find_state(options: "Options", account: "Account", reader: "Account") -> tuple[str, OtpState]:
    path = find_record(options.secret, account, reader)
    state = OtpState(read_secret(path, reader), readable(path))
    check_uid(state, path, account)
    return path, state


def check_uid(state: OtpState, path: str, account: "Account") -> None:
    """Check that the secret was made for this account. Raises OtherAccount, RecordError."""
    made_for = state.uid
    if made_for is not None and made_for != account.uid:
        raise OtherAccount(readable(path), account.name, account.uid, made_for)


class OneTimeCode(Challenge):
    """The codes that are right at the moment of the judgement, by the user's file."""

    def __init__(
        self, login: "Login", options: "Options", account: "Account", reader: "Account", path: str
    ) -> None:
        super().__init__(options.timeout)
        self.echo = options.echo
        self.question = options.prompt or (QUESTION_FOR_BOTH if options.forward_pass else QUESTION)
        self._login = login
        self._options = options
        self._account = account
        self._reader = reader
        self._path = path
        self._locks = ExitStack()
        self._conversation: Conversation | None = None
        self._with_password = options.forward_pass
        self._accepted: list[AcceptedCode] = []
        self._counted = False

    def end(self) -> None:
        """End this login's turn, if it has it."""
        self._locks.close()

    def obtain(self, conversation: "Conversation") -> str | None:
        """Take the code from an earlier module's password, or ask."""
        self._conversation = conversation
        if self._options.try_first_pass or self._options.use_first_pass:
            earlier = conversation.earlier_password()
            if self._options.use_first_pass or (earlier and self._would_do(earlier)):
                self._with_password = True
                return earlier
        return super().obtain(conversation)

    def offered(self, response: str) -> str:
        """Return the whole response: a password with spaces may stand before the code.

        Without a password, spaces in the code do not count: phones show `123 456`.
        """
        if self._with_password:
            return response
        together = "".join(response.split())
        return together if together.isascii() and together.isdigit() else response.strip()

    def accepted(self, offered: str) -> list[str]:
        """Return the codes of this moment, each after the text that stands before the offered code.

        The attempt counts, whatever its result.
        """
        self._count()
        self._read()
        texts = [code.text for code in self._accepted]
        return [offered[: -len(text)] + text for text in texts] if self._with_password else texts

    def _read(self) -> None:
        """Read the file in this login's turn, which ends with the judgement.

        The file drops a used step once its code is out of the window. So the time is taken after
        the file is read: a user can stop their own su for hours in between, and codes of the
        earlier time would be compared with a file that no longer lists them as used.
        """
        self._locks.close()
        self._file = self._locks.enter_context(locked(self._path, self._reader))
        self._state = self._parsed(self._file.content)
        self._now = int(time.time())
        self._accepted = self._accepted_codes(self._state, self._now)

    def _parsed(self, content: bytes) -> OtpState:
        """Return what the file has, if it is this account's: it may have become another's."""
        state = OtpState(content, readable(self._path))
        check_uid(state, self._path, self._account)
        return state

    def settle(self, offered: str, right: int | None) -> None:
        """Write what this attempt changes: a used code, a counter, a skew."""
        if right is None:
            code = offered[-DIGITS:] if self._with_password else offered
            self._write(partial(self._note_failure, code))
        else:
            self._spend(offered, self._accepted[right])

    def _spend(self, offered: str, accepted: "AcceptedCode") -> None:
        """Spend a right code, for the fleet and in the file, or not at all.

        A failure refuses the login, so the code is not used: the file is written last, and the
        fleet gets the code back, unless another login has spent it in this file. This lets no code
        be used twice: only the login that has claimed it can give it back, and that login is
        refused. If it is unknown whether Redis has it, it may stay spent: a TOTP code expires
        soon, and the next HOTP code is valid.
        """
        text = accepted.text
        with ExitStack() as undo:
            if self._options.fleet:
                from trex.totp.fleet import spend_for_all

                undo.callback(spend_for_all(self._options, self._login, self._state, accepted))
            if self._options.forward_pass and self._conversation:
                self._conversation.pass_on(offered[: -len(text)])
            try:
                self._write(partial(self._note_use, text))
            except CodeSpent:
                undo.pop_all()
                raise
            undo.pop_all()
        if len(text) == EMERGENCY_DIGITS:
            self._warn(f"an emergency code was used, {len(self._state.emergency_codes)} left")

    def _write(self, note: "Callable[[], object]") -> None:
        """Write what `note` changes; if another login was faster, read its file and note again.

        Raises StateNotWritten.
        """
        steps, warnings = len(self._login.steps), len(self._login.warnings)
        for number in tries():
            if number:
                del self._login.steps[steps:], self._login.warnings[warnings:]
                self._read()
            note()
            if self._state.content == self._file.content:
                return
            with suppress(ChangedMeanwhile):
                self._file.replace(self._state.content)
                return
        raise StateNotWritten(f"{readable(self._path)} was changed by other logins")

    def _note_use(self, text: str) -> None:
        """Mark the code `text` as used. Raises CodeSpent."""
        for accepted in self._accepted:
            if accepted.text == text:
                accepted.note_use()
                return
        raise CodeSpent("another login has used this code at the same moment")

    def _accepted_codes(self, state: OtpState, now: int) -> "list[AcceptedCode]":
        adjust_skew = not self._options.noskewadj
        return accepted_codes(state, _codes(state), now, adjust_skew=adjust_skew)

    def _note_failure(self, code: str) -> None:
        """Advance a counter, or note how wrong the user's clock may be."""
        if len(code) != DIGITS or not code.isascii() or not code.isdigit():
            return
        state, codes = self._state, _codes(self._state)
        if state.counter:
            if not self._options.no_increment_hotp and state.counter < MAX_COUNTER:
                state.set("HOTP_COUNTER", str(state.counter + 1))
        elif state.is_time_based:
            if any(codes.at(step) == code for step in steps_in_window(state, self._now)):
                self._warn("a code was offered again after its use: someone may have seen it")
            elif not self._options.noskewadj and note_skew(state, codes, code, self._now):
                self._login.steps.append("that is the code of another time: its skew is noted")

    def _would_do(self, text: str) -> bool:
        """Tell whether `text` ends in a right code: this is no verdict, it only saves a question.

        It counts as an attempt: someone who guesses could disconnect now.
        """
        self._count()
        state = self._parsed(read_secret(self._path, self._reader))
        texts = [code.text for code in self._accepted_codes(state, int(time.time()))]
        return any([is_equal(text[-len(code) :], code) for code in texts])  # noqa: C419 (all)

    def _count(self) -> None:
        """Count one login once, in the file, before anything is compared.

        A user can end their own su at any time (kill(2)), and keep it from writing
        (setrlimit(2)): a guess that is counted only afterwards would count when they choose.
        Raises TooManyAttempts, and StateNotWritten.
        """
        if self._counted:
            return
        self._counted = True
        for _ in tries():
            with locked(self._path, self._reader) as file, suppress(ChangedMeanwhile):
                state = self._parsed(file.content)
                reason = count_attempt(state, int(time.time()))
                if state.content != file.content:
                    file.replace(state.content)
                break
        else:
            raise StateNotWritten(f"{readable(self._path)} was changed by other logins")
        if reason:
            raise TooManyAttempts(f"{readable(self._path)}: {reason}")

    def _warn(self, text: str) -> None:
        self._login.warnings.append(f"{readable(self._path)}: {text}")


def _codes(state: OtpState) -> "HOTP":
    from pyotp import HOTP  # Debian's, which `prepare` has loaded

    return HOTP(state.secret)
