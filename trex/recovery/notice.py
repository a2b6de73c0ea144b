"""What a user who was let in is told about recovery codes that were used."""

import time

from trex.recovery.codes import codes_for
from trex.system.privilege import readable
from trex.system.secretfile import read_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.system.privilege import Account

# The first logins may be a program's, where nobody reads: so it is told at each for a month.
TOLD_SECONDS = 30 * 24 * 3600


def at_use(left: int, options: "Options", account: "Account") -> str:
    """Return what to tell whoever has just used a code."""
    return f"Trex: this recovery code is spent; {_left(left)}.\n{_new_ones(options, account)}"


def after_use(path: str, options: "Options", account: "Account", reader: "Account") -> str:
    """Return what to tell a user who logs in with the key, "" if no code was used in a month.

    It does not stop when it was told once: whoever has found the codes could otherwise log in
    first. New codes end it. Raises TrexError for a file that cannot be read or understood.
    """
    codes = codes_for(account, read_secret(path, reader), readable(path))
    now = time.time()
    # The clock may have been set back since.
    recent = [at for at in codes.spent.values() if abs(now - at) < TOLD_SECONDS]
    if not recent:
        return ""
    last = time.strftime("%Y-%m-%d at %H:%M", time.localtime(max(recent)))
    used = f"{len(recent)} recovery codes were used, the last on"
    if len(recent) == 1:
        used = "a recovery code was used on"
    return (
        f"Trex: {used} {last}; {_left(len(codes.left))}. If that was not you, somebody has them.\n"
        f"{_new_ones(options, account)}"
    )


def _left(number: int) -> str:
    return f"{number or 'none'} {'are' if number > 1 else 'is'} left"


def _new_ones(options: "Options", account: "Account") -> str:
    """Return how the user gets new codes: in central mode from whoever administers the host."""
    if not options.run_as:
        return f"New ones: {make_command(options)}"
    command = make_command(options, account.name)
    return f"New ones, from whoever administers this machine: {command}"


def make_command(options: "Options", user: str = "") -> str:
    """Return the command that makes new codes where these options look: root's for a `user`."""
    from trex.login.options import CENTRAL, CENTRAL_RECOVERY, Options

    usual = CENTRAL_RECOVERY if options.run_as else Options.recovery_file
    central = " --central" if options.run_as else ""
    place = "" if options.recovery_file == usual else f" --recovery-file {options.recovery_file}"
    reader = "" if options.run_as in ("", CENTRAL["run_as"]) else f" --run-as {options.run_as}"
    return f"trex recovery make{central}{place}{reader}" + (f" --user {user}" if user else "")
