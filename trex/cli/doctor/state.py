"""Where messages are counted and codes are spent: by whom, and which limits are reached."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.errors import FileUnsafe, ProgramFailed
from trex.login.method import find_servant
from trex.login.options import Options
from trex.sms.errors import NotSent
from trex.system.packages import is_packaged
from trex.system.safefile import check_directories
from trex.system.servant import have_done

if TYPE_CHECKING:
    from trex.system.privilege import Account

INSTALL = "sudo script/install --sms"
OTHERS = 0o077


def servant_of(options: Options) -> Account:
    """Return who sends and counts. Raises OptionError."""
    return find_servant("sms_user", options.sms_user)


def make_servant(options: Options) -> str:
    """Return the command that makes the account."""
    if options.sms_user == Options.sms_user:
        return INSTALL
    return f"useradd --system --user-group --shell /usr/sbin/nologin {options.sms_user}"


def check_place(state: str, servant: Account) -> list[Finding]:
    """Return what is wrong with the directory of a `file:` state, for whom it is."""
    if not state.startswith("file:"):
        return []
    directory = os.path.dirname(state.removeprefix("file:"))
    mend = f"install -d -m 0700 -o {servant.name} -g {servant.name} {directory}"
    try:
        check_directories(directory, servant)
        status = os.stat(directory)
    except FileUnsafe as error:
        why = "Others could take counts away, and so send without limit."
        return [Finding("sms-place", WARNING, str(error), why, mend)]
    except OSError:  # who counts says so
        return []
    if status.st_uid == servant.uid and status.st_mode & OTHERS:
        what = f"{directory}: found mode {stat.S_IMODE(status.st_mode):04o}; meant is 0700"
        why = "Others can see who was sent a message, and when."
        return [Finding("sms-place", WARNING, what, why, f"chmod 700 {directory}")]
    return []


def check_packages(state: str, *, sending: bool) -> list[Finding]:
    """Return which of Debian's packages are missing for this state, and for sending."""
    wanted = {"requests": "python3-requests"} if sending else {}
    if not state.startswith("file:"):
        wanted["redis"] = "python3-redis"
    return [
        Finding("sms-package", ERROR, f"Debian's package {package} is missing",
                "Every login that needs it is refused.", f"apt install {package}")
        for name, package in wanted.items() if not is_packaged(name)
    ]  # fmt: skip


def reached(
    servant: Account, settings: dict[str, Any], user: str, messages: int, which: str
) -> dict[str, float | None]:
    """Return the limits that would refuse so many messages to `user`, of those named `which`...

    Each with the seconds until it ends, None where it never does. The servant asks, and counts
    nothing. Raises NotSent where it could not count either.
    """
    limits = {name: most for name, most in settings["limits"].items() if name.startswith(which)}
    told = {
        "state": settings["state"], "limits": limits,
        "user": user, "host": os.uname().nodename, "messages": messages,
    }  # fmt: skip
    try:
        word, rest = have_done(servant, "sms/look.py", told)
    except ProgramFailed as error:
        raise NotSent(str(error)) from None
    if word != "reached":
        raise NotSent(rest)
    answer: dict[str, float | None] = json.loads(rest)
    return answer


def unreachable(state: str, error: NotSent) -> Finding:
    """Return the finding for a state that cannot be asked."""
    why = "What cannot be counted is not sent, and a code that cannot be spent not accepted."
    mend = INSTALL if state.startswith("file:") else "is the Redis there? state in sms.toml"
    return Finding("sms-state", ERROR, f"state: {error}", why, mend)
