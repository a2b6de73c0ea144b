"""What a user who was let in is told about recovery codes that were used."""

import time

from trex.login.method import expand_path, is_absent
from trex.recovery.codes import codes_for
from trex.system.privilege import readable
from trex.system.secretfile import read_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.recovery.codes import RecoveryCodes
    from trex.system.privilege import Account

# The first logins may be a program's, where nobody reads: so it is told at each for a month.
TOLD_SECONDS = 30 * 24 * 3600


def at_use(codes: "RecoveryCodes", options: "Options", account: "Account") -> str:
    """Return what to tell whoever has just used a code of these."""
    *earlier, _ = sorted(recent(codes))
    others = ""
    if earlier:
        others = f" Before, {_used(earlier)}. If that was not you, somebody has them."
    left = _left(len(codes.left))
    return f"Trex: this recovery code is spent; {left}.{others}\n{_new_ones(options, account)}"


def after_use(options: "Options", account: "Account", reader: "Account") -> str:
    """Return what to tell a user who logs in without a code, "" if none was used in a month.

    It does not stop when it was told once: whoever has found the codes could otherwise log in
    first. New codes end it. Raises TrexError for a file that cannot be read or understood.
    """
    path = expand_path(options.recovery_file, account)
    if is_absent(path, reader):
        return ""
    codes = codes_for(account, read_secret(path, reader), readable(path))
    times = recent(codes)
    if not times:
        return ""
    told = (
        f"Trex: {_used(times)}; {_left(len(codes.left))}. If that was not you, somebody has them."
    )
    return f"{told}\n{_new_ones(options, account)}"


def recent(codes: "RecoveryCodes") -> list[int]:
    """Return when codes were used within a month (Unix time); the clock may have been set back."""
    now = time.time()
    return [at for at in codes.spent.values() if abs(now - at) < TOLD_SECONDS]


def moment(at: int) -> str:
    """Return a time (Unix time) as the host's clock shows it."""
    return time.strftime("%Y-%m-%d at %H:%M", time.localtime(at))


def _used(times: list[int]) -> str:
    if len(times) == 1:
        return f"a recovery code was used on {moment(times[0])}"
    return f"{len(times)} recovery codes were used, the last on {moment(max(times))}"


def _left(number: int) -> str:
    return f"{number or 'none'} {'are' if number > 1 else 'is'} left"


def _new_ones(options: "Options", account: "Account") -> str:
    """Return how the user gets new codes: in central mode from whoever administers the host."""
    if not options.run_as:
        return f"New ones: {make_command(options)}"
    command = make_command(options, account.name)
    return f"New ones, from whoever administers this machine: {command}"


def make_command(options: "Options", user: str = "", verb: str = "make") -> str:
    """Return the command that makes new codes where these options look: root's for a `user`.

    `verb` is what else `trex recovery` does with them.
    """
    from shlex import quote

    from trex.login.options import CENTRAL, CENTRAL_RECOVERY, Options

    usual = CENTRAL_RECOVERY if options.run_as else Options.recovery_file
    central = " --central" if options.run_as else ""
    file = options.recovery_file
    place = "" if file == usual else f" --recovery-file {quote(file)}"
    reader = "" if options.run_as in ("", CENTRAL["run_as"]) else f" --run-as {options.run_as}"
    whose = f" --user {quote(user)}" if user else ""
    return f"trex recovery {verb}{central}{place}{reader}{whose}"
