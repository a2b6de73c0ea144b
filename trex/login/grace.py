"""A grace period (`grace_period=`): who has just succeeded from here is not asked again.

An earlier success is a challenge like any other. Its right text is a hash of all that the success
rests on, as it is now. Its response is the hash in root's own file, as it was then. Its deadline is
the period's end. So `Challenge.judge` decides, and a file that is missing or wrong decides nothing:
then the question is asked.
"""

import os
import time

from trex.errors import FileUnsafe, NoRecord, NotGivenBack, TrexError, one_line
from trex.login.challenge import Challenge, now
from trex.login.gracefile import PROOF, cleared_at, clearings, read_state, write_state
from trex.login.origin import is_remote, origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.login.challenge import Conversation
    from trex.login.method import Login, Method
    from trex.login.options import Options
    from trex.system.privilege import Account

BOOT = "/proc/sys/kernel/random/boot_id"
SECOND = 1_000_000_000  # nanoseconds
MAX_FIELD = 255  # bytes
# What costs a grace period alone; a module cannot be imported where descriptors or memory are out.
OPTIONAL = OSError, ImportError, TrexError


class EarlierSuccess(Challenge):
    """Whether an earlier success counts: `claim` is what was noted, `right` what holds now.

    `until` is when the period ends (CLOCK_BOOTTIME). It is no number of seconds from now on: a user
    can stop their own su for hours, wherever it is.
    """

    def __init__(self, login: "Login", claim: str, right: str, until: float) -> None:
        super().__init__(0)
        self.deadline = until
        self._login = login
        self._claim = claim
        self._right = right

    def obtain(self, conversation: "Conversation") -> str:  # noqa: ARG002 (nobody is asked)
        """Return what was noted."""
        return self._claim

    def accepted(self, offered: str) -> list[str]:  # noqa: ARG002 (whatever is offered)
        """Return what holds now."""
        return [self._right]

    def settle(self, offered: str, right: int | None) -> None:  # noqa: ARG002 (only whether)
        """Have the log say why nobody was asked."""
        if right is not None:
            left = max(0, round(self.deadline - now()))
            self._login.remark = f"not asked: {left} seconds of the grace period are left"


class Grace:
    """The grace period of one login: what is remembered for it, and remembering it."""

    def __init__(
        self, login: "Login", options: "Options", account: "Account", reader: "Account"
    ) -> None:
        self._login = login
        self._options = options
        self._account = account
        self._reader = reader
        self._origin = ""  # there is no grace period
        try:
            if os.geteuid() != 0:
                raise PermissionError("the program does not run as root")
            self._boot = boot_id()
            self._clearings = clearings(account.uid)  # before anything is judged
            self._origin = origin_of(login)
        except (OSError, TrexError) as error:
            login.steps.append(f"no grace period: {error}")

    def earlier_successes(self, method: "Method") -> "Iterator[EarlierSuccess]":
        """Yield what may have this login accepted without a question. Raises NotGivenBack."""
        if not self._origin:
            return
        try:
            yield from self._own(method)
            yield from self._noted(method)
        except NotGivenBack:
            raise
        except OPTIONAL as error:  # the login itself will say so, if it cannot do without
            self._login.steps.append(f"no grace period: {error}")

    def remember(self, challenge: Challenge) -> None:
        """Remember a success; where that is impossible, the next login is asked."""
        if not self._origin:
            return
        fields = self._fields(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        try:
            if basis := challenge.basis():
                fields[PROOF] = self._proof(fields, basis, self._clearings)
                write_state(self._account.uid, self._name(), fields)
            else:
                self._login.steps.append("no grace period: changed meanwhile, or for two people")
        except NotGivenBack:
            raise
        except OPTIONAL as error:
            self._login.warnings.append(f"this success is not remembered: {error}")

    def _own(self, method: "Method") -> "Iterator[EarlierSuccess]":
        """Yield what Trex has remembered.

        gpg takes as long as whoever stops it wants: so what counts is what is there afterwards. So
        may a login that writes: what it wrote may have been cleared before.
        """
        if self._stored() is None:
            return
        basis = method.basis(self._login, self._options, self._account, self._reader)
        if stored := self._stored():
            since = int(stored["since"])
            right = self._proof(self._fields(since), basis, clearings(self._account.uid))
            until = since / SECOND + self._options.grace_period
            yield EarlierSuccess(self._login, stored[PROOF], right, until)

    def _stored(self) -> dict[str, str] | None:
        """Return what is remembered of a success whose period is not over, None for nothing."""
        try:
            stored = read_state(self._account.uid, self._name())
        except NoRecord:
            return None
        except (OSError, FileUnsafe) as error:
            self._login.warnings.append(f"an earlier success cannot be read: {error}")
            return None
        ago = now() - int(stored["since"]) / SECOND
        return stored if 0 <= ago < self._options.grace_period else None

    def _noted(self, method: "Method") -> "Iterator[EarlierSuccess]":
        """Yield what pam_google_authenticator has noted in the user's file, since the boot.

        It has only a clock that can be set: so what `trex grace clear` has ended is over, too.
        """
        noted_logins = getattr(method, "noted_logins", None)
        if noted_logins is None or not is_remote(self._origin):
            return
        noted = noted_logins(self._options, self._account, self._reader)
        begun, clock = now(), time.time()
        first = max(clock - begun, cleared_at(self._account.uid))
        for host, at in noted:
            ago = clock - at
            if at > first and 0 <= ago < self._options.grace_period:
                until = begun - ago + self._options.grace_period
                yield EarlierSuccess(self._login, host, self._origin, until)

    def _fields(self, since: int) -> dict[str, str]:
        """Return who succeeds where; `since` is when (nanoseconds of CLOCK_BOOTTIME)."""
        return {
            "user": one_line(self._account.name, MAX_FIELD),
            "uid": str(self._account.uid),
            "service": one_line(self._login.service, MAX_FIELD),
            "method": self._options.method,
            "origin": self._origin,
            "boot": self._boot,
            "since": str(since),
            "seconds": str(self._options.grace_period),
        }

    def _proof(self, fields: dict[str, str], basis: bytes, cleared: str) -> str:
        """Return the hash of a success: of its fields, what was cleared, its line and basis."""
        arguments = [f"{len(argument)}:{argument}" for argument in self._login.arguments]
        return _hash(repr(sorted(fields.items())), cleared, *arguments, rest=basis)

    def _name(self) -> str:
        """Return the file's name: one for each service, method and origin."""
        account, login = self._account, self._login
        return _hash(account.name, login.service, self._options.method, self._origin)


def _hash(*texts: str, rest: bytes = b"") -> str:
    from hashlib import sha256

    parts = [text.encode("utf-8", "surrogatepass") for text in texts] + [rest]
    return sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).hexdigest()


def boot_id() -> str:
    """Return what no other boot of this host has (proc(5)). Raises OSError."""
    with open(BOOT, encoding="ascii") as file:
        return file.read().strip()
