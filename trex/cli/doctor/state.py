"""The state that counts messages and spends codes: its account, its directory, its limits."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import hint_for
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.doctor.remedy import by_hand
from trex.errors import ABSENT, OWNER, WRITABLE, FileUnsafe, ProgramFailed, TrexError
from trex.login.method import find_servant
from trex.sms.counts import FILE
from trex.sms.errors import StateUnusable
from trex.system.packages import is_packaged
from trex.system.safefile import check_directories
from trex.system.servant import have_done

if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.system.privilege import Account

OTHERS = 0o077
CLOSE = "chown root:root {path}; chmod 600 {path}"


def servant_of(options: Options) -> Account:
    """Return the account that sends and counts. Raises OptionError."""
    return find_servant("sms_user", options.sms_user)


def make_servant(options: Options) -> str:
    """Return the command that creates the account."""
    with suppress(KeyError):
        pwd.getpwnam(options.sms_user)  # it is there, and cannot be used
        return by_hand("name another account in sms_user=")
    shell = "--no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin"
    return f"useradd --system --user-group {shell} {shlex.quote(options.sms_user)}"


def directory_made(state: str, servant: Account) -> str:
    """Return the command that makes the directory of a `file:` state."""
    directory = shlex.quote(os.path.dirname(state.removeprefix(FILE)))
    return f"install -d -m 0700 -o {shlex.quote(servant.name)} -g {servant.gid} {directory}"


def settings_fix(error: TrexError, path: str) -> str:
    """Return how the settings, or the map of numbers, become what a login can use."""
    quoted = shlex.quote(path)
    if not isinstance(error, FileUnsafe):
        return by_hand(f"correct {quoted} as the message says")
    if error.kind == ABSENT:
        directory = shlex.quote(os.path.dirname(path))
        return f"mkdir -p {directory}; install -m 0600 /dev/null {quoted}  # then fill it"
    if os.path.isfile(error.path):
        return CLOSE.format(path=shlex.quote(error.path))
    return hint_for(error) if error.kind in (OWNER, WRITABLE) else by_hand(hint_for(error))


def _file_made(state: str, servant: Account) -> str:
    """Return the command after which the servant can count in a `file:` state."""
    path = state.removeprefix(FILE)
    quoted, command = shlex.quote(path), directory_made(state, servant)
    if not os.path.lexists(path):
        return command
    if os.lstat(path).st_uid != servant.uid:
        return f"{command}; chown -h {shlex.quote(servant.name)}: {quoted}"
    return f"{command}; mv -T {quoted} {quoted}.old  # all limits then begin anew"


def check_directory(state: str, servant: Account) -> list[Finding]:
    """Return what is wrong with the directory of a `file:` state, which `servant` writes."""
    if not state.startswith(FILE):
        return []
    directory = os.path.dirname(state.removeprefix(FILE))
    quoted = shlex.quote(directory)
    fix = directory_made(state, servant)
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


def unreachable(state: str, servant: Account, error: StateUnusable) -> Finding:
    """Return the finding for a state that does not answer."""
    why = "Without it no message is sent and no code is accepted."
    fix = by_hand("does the Redis run, and does it take this? see state in sms.toml")
    if state.startswith(FILE):
        fix = _file_made(state, servant)
    return Finding("sms-state", ERROR, f"state: {error}", why, fix)
