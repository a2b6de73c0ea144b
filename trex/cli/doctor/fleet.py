"""method=totp with `fleet`: the Redis in which codes are spent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trex.cli.doctor.finding import ERROR, NOTE, Finding
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.state import (
    check_packages,
    make_servant,
    reached,
    servant_of,
    settings_fix,
    unreachable,
)
from trex.errors import FileUnsafe, OptionError, UserUnknown
from trex.sms.errors import SettingsError, StateUnusable
from trex.system.privilege import find_account
from trex.totp.fleet import read_fleet

if TYPE_CHECKING:
    from trex.login.options import Options

ALL = "No code is accepted: every login is refused."


def check_fleet(options: Options, names: list[str]) -> list[Finding]:
    """Return why no code could be spent in the fleet, for anybody or for one of these users."""
    if os.geteuid() != 0:
        what = "the Redis of the fleet: not checked"
        return [Finding("left-out", NOTE, what, "Only root can.", "sudo trex doctor")]
    try:
        servant = servant_of(options)
    except OptionError as error:
        return [Finding("totp-fleet", ERROR, str(error), ALL, make_servant(options))]
    try:
        state = read_fleet(options)
    except (SettingsError, FileUnsafe) as error:
        fix = settings_fix(error, options.sms_file)
        return [Finding("totp-fleet", ERROR, str(error), ALL, fix)]
    if missing := check_packages(state, sending=False):
        return missing
    try:
        reached(servant, {"state": state, "limits": {"host_hour": 1}}, "", 0, "host")
    except StateUnusable as error:
        return [unreachable(state, servant, error)]
    return [
        Finding("totp-fleet", ERROR, f"{name}: sms_user= is the account that logs in",
                "This user is refused.", by_hand("another account in sms_user="), name)
        for name in names if _uid_of(name) == servant.uid
    ]  # fmt: skip


def _uid_of(name: str) -> int | None:
    try:
        return find_account(name).uid
    except UserUnknown:  # the check of this user reports it
        return None
