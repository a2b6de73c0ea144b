"""The state that counts messages and spends codes: its account, its directory, its limits."""

from __future__ import annotations

import json
import os
import shlex
import stat
from typing import TYPE_CHECKING, Any

from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.errors import FileUnsafe, ProgramFailed
from trex.login.method import find_servant
from trex.login.options import Options
from trex.sms.counts import FILE
from trex.sms.errors import StateUnusable
from trex.system.packages import is_packaged
from trex.system.safefile import check_directories
from trex.system.servant import have_done

if TYPE_CHECKING:
    from trex.system.privilege import Account

INSTALL = "sudo script/install --sms"
OTHERS = 0o077


def servant_of(options: Options) -> Account:
    """Return the account that sends and counts. Raises OptionError."""
    return find_servant("sms_user", options.sms_user)


def make_servant(options: Options) -> str:
    """Return the command that creates the account."""
    if options.sms_user == Options.sms_user:
        return INSTALL
    return f"useradd --system --user-group --shell /usr/sbin/nologin {options.sms_user}"


def check_directory(state: str, servant: Account) -> list[Finding]:
    """Return what is wrong with the directory of a `file:` state, which `servant` writes."""
    if not state.startswith(FILE):
        return []
    directory = os.path.dirname(state.removeprefix(FILE))
    quoted = shlex.quote(directory)
    fix = f"install -d -m 0700 -o {servant.name} -g {servant.name} {quoted}"
    try:
        check_directories(directory, servant)
        status = os.stat(directory)
    except FileUnsafe as error:
        why = "Others could remove counts, and so send without a limit."
        return [Finding("sms-directory", WARNING, str(error), why, fix)]
    except OSError:  # the program that counts reports it
        return []
    if status.st_uid == servant.uid and status.st_mode & OTHERS:
        what = f"{directory}: expected mode 0700, found {stat.S_IMODE(status.st_mode):04o}"
        why = "Others can see who gets messages, and when."
        return [Finding("sms-directory", WARNING, what, why, f"chmod 700 {quoted}")]
    return []


def check_packages(state: str, *, sending: bool) -> list[Finding]:
    """Return Debian's packages that are missing for this state and, if asked, for sending."""
    wanted = {"requests": "python3-requests"} if sending else {}
    if not state.startswith(FILE):
        wanted["redis"] = "python3-redis"
    return [
        Finding("sms-package", ERROR, f"Debian's package {package} is missing",
                "Every login that needs it is refused.", f"apt install {package}")
        for name, package in wanted.items() if not is_packaged(name)
    ]  # fmt: skip


def reached(
    servant: Account, settings: dict[str, Any], user: str, messages: int, which: str
) -> dict[str, float | None]:
    """Return the limits that would refuse `messages` more messages to `user`.

    Only limits whose names begin with `which`. Each comes with the seconds until it ends, None if
    it never does. Nothing is counted. Raises StateUnusable where the servant could not count.
    """
    limits = {name: most for name, most in settings["limits"].items() if name.startswith(which)}
    told = {
        "state": settings["state"], "limits": limits,
        "user": user, "host": os.uname().nodename, "messages": messages,
    }  # fmt: skip
    try:
        word, rest = have_done(servant, "trex.sms.look", told)
    except ProgramFailed as error:
        raise StateUnusable(str(error)) from None
    if word != "reached":
        raise StateUnusable(rest)
    answer: dict[str, float | None] = json.loads(rest)
    return answer


def unreachable(state: str, error: StateUnusable) -> Finding:
    """Return the finding for a state that does not answer."""
    why = "Without it no message is sent and no code is accepted."
    fix = INSTALL if state.startswith(FILE) else "does the Redis run? see state in sms.toml"
    return Finding("sms-state", ERROR, f"state: {error}", why, fix)
