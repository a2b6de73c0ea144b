"""method=recovery: a one-time code, for whoever has lost the key.

A wrong code is neither counted nor slowed down here: there are 2^80, and each costs one hash.
"""

import time
from contextlib import ExitStack, suppress

from trex.login.challenge import Challenge
from trex.login.method import find_record
from trex.recovery.codes import as_made, codes_for
from trex.recovery.errors import CodeGone, NoCodeLeft
from trex.recovery.notice import at_use
from trex.system.privilege import readable
from trex.system.rewriting import tries
from trex.system.secretfile import ChangedMeanwhile, StateNotWritten, locked, read_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.method import Login
    from trex.login.options import Options
    from trex.recovery.codes import RecoveryCodes
    from trex.system.privilege import Account

QUESTION = "Recovery code: "


def prepare(
    login: "Login", options: "Options", account: "Account", reader: "Account"
) -> "RecoveryCode":
    """Check that the user's file can be used, and load what is needed after the prompt.

    Raises NoRecord, FileUnsafe, RecordError, OtherAccount, and NoCodeLeft.
    """
    path, codes = _find_codes(options, account, reader)
    import hashlib  # noqa: F401 (an upgrade may remove its file before the answer is here)

    challenge = RecoveryCode(login, options, account, reader, path)
    challenge.basis = lambda: codes.identity
    return challenge


def basis(
    login: "Login",  # noqa: ARG001 (nothing is told)
    options: "Options",
    account: "Account",
    reader: "Account",
) -> bytes:
    """Return what identifies the user's codes, spent ones among them."""
    return _find_codes(options, account, reader)[1].identity


def _find_codes(
    options: "Options", account: "Account", reader: "Account"
) -> "tuple[str, RecoveryCodes]":
    path = find_record(options.recovery_file, account, reader)
    codes = codes_for(account, read_secret(path, reader), readable(path))
    if not codes.left:
        raise NoCodeLeft(f"{readable(path)}: no recovery code is left")
    return path, codes


class RecoveryCode(Challenge):
    """The user's codes that are not spent at the moment of the judgement."""

    def __init__(
        self, login: "Login", options: "Options", account: "Account", reader: "Account", path: str
    ) -> None:
        super().__init__(options.timeout)
        self.question = options.prompt or QUESTION
        self.echo = options.echo
        self._login = login
        self._options = options
        self._account = account
        self._reader = reader
        self._path = path
        self._locks = ExitStack()

    def end(self) -> None:
        """End this login's turn, if it has it."""
        self._locks.close()

    def offered(self, response: str) -> str:
        """Return the hash of the code in a response, with the salt that the file has now."""
        code = as_made(response)
        return self._read().hash_of(code) if code else ""

    def accepted(self, offered: str) -> list[str]:  # noqa: ARG002 (whatever is offered)
        """Return the hashes of the codes that are left."""
        return self._codes.left

    def settle(self, offered: str, right: int | None) -> None:
        """Spend a right code in the file. Raises CodeGone, StateNotWritten and others."""
        if right is not None:
            self._spend(offered)
            self._warn(f"a recovery code was used, {len(self._codes.left)} left")
            self._login.reminder = lambda: at_use(self._codes, self._options, self._account)
        elif offered in self._codes.spent:
            self._warn("a recovery code was offered again after its use: someone may have seen it")

    def _read(self) -> "RecoveryCodes":
        """Read the file in this login's turn, which ends with the judgement."""
        self._locks.close()
        self._file = self._locks.enter_context(locked(self._path, self._reader))
        self._codes = codes_for(self._account, self._file.content, readable(self._path))
        return self._codes

    def _spend(self, hashed: str) -> None:
        """Write that a code is spent; if another login was faster, read its file and try again."""
        for number in tries():
            if number and hashed not in self._read().left:
                raise CodeGone("this code was spent, or new ones were made, at the same moment")
            self._codes.spend(hashed, int(time.time()))
            with suppress(ChangedMeanwhile):
                self._file.replace(self._codes.content)
                return
        raise StateNotWritten(f"{readable(self._path)} was changed by other logins")

    def _warn(self, text: str) -> None:
        self._login.warnings.append(f"{readable(self._path)}: {text}")
