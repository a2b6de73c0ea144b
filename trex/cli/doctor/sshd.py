"""What sshd's settings mean for Trex, for each user and wherever a login may come from."""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import TYPE_CHECKING

from trex.cli.acknowledged import Acknowledged, read_acknowledged
from trex.cli.doctor.barred import check_barred, is_barred
from trex.cli.doctor.blocks import Told
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.judging import ASKS_PAM, judge_around, judge_settings
from trex.cli.doctor.matching import LOOPBACK, MAX_ORIGINS, PUBLIC, bare
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.sshdfile import PRIVILEGE_SEPARATION
from trex.cli.doctor.ways import ways_around
from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from trex.cli.doctor.effective import Sshd
    from trex.cli.doctor.matching import Origin

UNREADABLE = (OSError, subprocess.TimeoutExpired, ValueError)  # what `Sshd` raises


def check_sshd(sshd: Sshd, users: list[str], others: list[str], method: str, timeout: int
               ) -> list[Finding]:  # fmt: skip
    """Return what keeps sshd from asking `users`, refuses them, or lets anybody in beside Trex.

    `others` are accounts for which only the last is checked. `method` is the first that is asked,
    `timeout` the longest of all, in seconds.
    """
    try:
        findings = _check_settings(sshd, users, others, method, timeout)
        return [*findings, *check_barred(sshd, users)]
    except UNREADABLE as error:
        return [_unreadable(error)]


def _unreadable(error: Exception) -> Finding:
    """Return the finding for an sshd that does not say its settings."""
    what = f"sshd -T: {error}"
    if isinstance(error, FileNotFoundError):
        what, why = "sshd is not installed", "Its settings were not checked."
        return Finding("sshd-absent", NOTE, what, why, "apt install openssh-server")
    if PRIVILEGE_SEPARATION in what and not os.path.isdir(PRIVILEGE_SEPARATION):
        what = f"sshd does not run: there is no {PRIVILEGE_SEPARATION}"
        why = "Without it sshd does not say its settings, so they were not checked."
        return Finding("sshd-absent", NOTE, what, why, f"mkdir -m 0755 {PRIVILEGE_SEPARATION}")
    why = "sshd does not start with a configuration that it cannot read."
    return Finding("sshd-config", ERROR, what, why, by_hand("correct what sshd -t names"))


def key_comes_first(sshd: Sshd) -> bool:
    """Return whether something else, such as an SSH key, is required before PAM asks anybody."""
    try:
        told = [sshd.ask("", origin) for origin in sshd.origins]
    except UNREADABLE:
        return False
    return all(_asks_later(effective.get("authenticationmethods", "any")) for effective in told)


def _asks_later(written: str) -> bool:
    return written != "any" and not any(way.startswith(ASKS_PAM) for way in written.split())


def host_key_files(sshd: Sshd) -> list[str]:
    """Return the paths of sshd's host keys, as HostKey has them; [] if that cannot be found out."""
    try:
        return sshd.usual.every("hostkey")
    except UNREADABLE:
        return []


def addresses_of(sshd: Sshd) -> list[str]:
    """Return the addresses that logins may come from: examples of what Match lines name too."""
    try:
        return list(dict.fromkeys(origin.address for origin in sshd.origins))
    except UNREADABLE:
        return [LOOPBACK, PUBLIC]


def every_account(sshd: Sshd) -> list[str]:
    """Return all accounts, those that only Match lines name too (getpwent(3) need not list all)."""
    names = [entry.pw_name for entry in pwd.getpwall()]
    try:
        named = [bare(text) for match in sshd.matches for text in match.patterns.get("user", ())]
    except UNREADABLE:
        named = []
    return list(dict.fromkeys([*names, *filter(_is_known, named)]))


def _is_known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        return False
    return True


def _check_settings(
    sshd: Sshd, users: list[str], others: list[str], method: str, timeout: int
) -> list[Finding]:
    told = Told(sshd.config, sshd.origins)
    notes: dict[Finding, None] = {}
    acknowledged = _acknowledged()
    for origin in sshd.origins:
        for user in users or [""]:
            if user and _is_exempt(sshd, acknowledged, user, origin):
                continue  # Trex is not to ask them: a note says so below
            effective = sshd.ask(user, origin)
            for finding in judge_settings(effective, user, method, timeout):
                told.add(finding, effective, user, origin)
        for user in dict.fromkeys([*users, *others]):
            if not _is_way_around(sshd, user, origin):
                continue
            if note := _exempt(acknowledged, user, origin.address):
                notes.setdefault(note)
                continue
            effective = sshd.ask(user, origin)
            for finding in judge_around(effective, method):
                told.add(finding, effective, user, origin)
    return [*told.findings(), *_other_origins(sshd), *notes]


def _acknowledged() -> Acknowledged:
    try:
        return read_acknowledged()
    except CommandError:  # the file has a check of its own
        return Acknowledged()


def _is_way_around(sshd: Sshd, user: str, origin: Origin) -> bool:
    """Return whether sshd lets this user in without Trex, although PAM is used."""
    effective = sshd.ask(user, origin)
    if effective.get("usepam") != "yes" or not _is_known(user):  # of which there are findings
        return False
    around = ways_around(effective, pwd.getpwnam(user).pw_uid)
    return bool(around) and not is_barred(sshd, user, origin)


def _is_exempt(sshd: Sshd, acknowledged: Acknowledged, user: str, origin: Origin) -> bool:
    around = _is_way_around(sshd, user, origin)
    return around and _exempt(acknowledged, user, origin.address) is not None


def _exempt(acknowledged: Acknowledged, user: str, address: str) -> Finding | None:
    """Return the note for an account that logs in without Trex by intention."""
    entry = acknowledged.why_exempt(user, pwd.getpwnam(user).pw_gid, address)
    if entry is None:
        return None
    what = f"{user} logs in without Trex, as /etc/trex/doctor.toml has it"
    return Finding(
        "exempt", NOTE, what, entry.reason, by_hand("nothing, as long as that is true"), user
    )


def _other_origins(sshd: Sshd) -> list[Finding]:
    if sshd.has_all_origins:
        return []
    what = f"sshd's Match lines tell more than {MAX_ORIGINS} origins apart"
    why = "Not all combinations of their addresses, ports and hosts were tried."
    return [
        Finding("sshd-origins", WARNING, what, why, by_hand(f"fewer Match lines in {sshd.config}"))
    ]
