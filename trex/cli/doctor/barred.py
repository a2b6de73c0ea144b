"""What sshd itself refuses, whatever the response: its lists, the shell, SSH keys, directories.

Source: `allowed_user` of OpenSSH's auth.c, and sshd_config(5) for each setting.
"""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import shlex
import stat
from functools import partial
from typing import TYPE_CHECKING

from trex.cli.delegate import FILE_SECONDS, run_as
from trex.cli.doctor.arrival import NONE, Arrival, escaped, in_pattern, set_at
from trex.cli.doctor.blocks import listed
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.module import root_alone
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.sshdfile import reloading
from trex.cli.doctor.sshkeys import check_keys
from trex.cli.doctor.ways import KEY, asks_trex, ways
from trex.cli.errors import CommandError
from trex.cli.location import ROOT
from trex.errors import one_line
from trex.system.privilege import native

if TYPE_CHECKING:
    from trex.cli.doctor.effective import Sshd
    from trex.cli.doctor.matching import Origin

# sshd's order, and what each list has patterns for.
LISTS = (
    ("DenyUsers", "user"), ("AllowUsers", "user"),
    ("DenyGroups", "group"), ("AllowGroups", "group"),
)  # fmt: skip
ENDING = ("/usr/sbin/nologin", "/sbin/nologin", "/usr/bin/false", "/bin/false")
SHELL = "/bin/bash"
WRITABLE = "others than root may write it"
ANYTHING = "sshd refuses this user before Trex is asked."
ELSEWHERE = "From other addresses the user gets in."


def check_barred(sshd: Sshd, users: list[str]) -> list[Finding]:
    """Return what sshd refuses these users: an error, or a note where another origin is accepted.

    Raises what `Sshd` raises.
    """
    findings: list[Finding] = []
    for user in users:
        try:
            entry = pwd.getpwnam(native(user))
        except (KeyError, ValueError):  # another check reports it
            continue
        logins = [Arrival(sshd, entry, origin, sshd.ask(user, origin)) for origin in sshd.origins]
        found = _check_lists(logins)
        for login in logins:
            for finding in _barred(login):
                found.setdefault(finding, []).append(login.origin)
        findings += _in_all(found, len(logins))
    return findings


def is_barred(sshd: Sshd, user: str, origin: Origin) -> bool:
    """Return whether sshd's lists keep this user out."""
    login = Arrival(sshd, pwd.getpwnam(native(user)), origin, sshd.ask(user, origin))
    return any(_refusing(login, *kind) is not None for kind in LISTS)


def _in_all(found: dict[Finding, list[Origin]], count: int) -> list[Finding]:
    """Return each finding: as a note with its origins, unless all `count` origins are refused."""
    errors = [some for finding, some in found.items() if finding.severity == ERROR]
    everywhere = len({origin for some in errors for origin in some}) == count
    result = []
    for finding, some in found.items():
        if finding.severity != ERROR or everywhere:
            result.append(finding)
            continue
        what = f"{finding.what}, from {listed(map(str, some))}"
        result.append(dataclasses.replace(finding, severity=NOTE, what=what, why=ELSEWHERE))
    return result


def _barred(login: Arrival) -> list[Finding]:
    effective = login.effective
    findings = [*_check_shell(login), *_check_chroot(login)]
    open_ways = ways(effective, login.entry.pw_uid)
    asking = [way for way in open_ways if asks_trex(way, effective)]
    if not open_ways and login.entry.pw_uid:
        findings += _check_enabled(login)
    if asking and all(KEY in way for way in asking):
        findings += check_keys(login)
    return findings


def _check_lists(logins: list[Arrival]) -> dict[Finding, list[Origin]]:
    """Return which list refuses a user, and from where; one finding whatever the origin."""
    found = {}
    for written, criterion in LISTS:
        told = [(login, _refusing(login, written, criterion)) for login in logins]
        refused = [(login, fit) for login, fit in told if fit is not None]
        if not refused:
            continue
        first = refused[0][0]
        fit = list(dict.fromkeys(one for _, some in refused for one in some))
        said = f"{written} has {', '.join(fit)}" if fit else f"is not in {written}"
        what = f"{said}{first.by(written.lower())}"
        fix = _edit_list([login for login, _ in refused], written, fit)
        finding = first.finding(written.lower(), what, ANYTHING, fix)
        found[finding] = [login.origin for login, _ in refused]
    return found


def _refusing(login: Arrival, written: str, criterion: str) -> list[str] | None:
    """Return the patterns by which a list refuses, [] if none of it fits, None if it does not."""
    patterns = login.effective.every(written.lower())
    if not patterns:
        return None
    fit = login.sshd.fitting(login.user, login.origin, criterion, patterns)
    if written.startswith("Deny"):
        return fit or None
    return None if fit else []


def _edit_list(logins: list[Arrival], written: str, fit: list[str]) -> str:
    """Return how to take patterns from a Deny list, or a name into an Allow list.

    Line numbers stay, and one user's command undoes no other's: whoever types them types several.
    """
    found = [place for login in logins for place in login.effective.places.get(written.lower(), [])]
    places = sorted(set(found))
    first = logins[0]
    if written.startswith("Allow") and places:
        name = first.user if written == "AllowUsers" else _own_group(first)
        if not name:
            return f"gpasswd --add {first.name} GROUP  # one that AllowGroups has"
        edit = f"{places[0].line}s/{written}[[:blank:]=]*/&{escaped(name)} /I"
        change = f"sed -i {shlex.quote(edit)} {shlex.quote(places[0].path)}"
        return "; ".join([change, *reloading()])
    commands = []
    for place in places:
        words = {word.strip('"') for word in first.sshd.line(place).replace("=", " ").split()}
        if gone := [one for one in fit if one in words]:
            edit = shlex.quote(_without(place.line, written, gone))
            commands.append(f"sed -i -E {edit} {shlex.quote(place.path)}")
    if not commands:
        return by_hand(f"correct {written} in {first.sshd.config}, or in what it includes")
    return "; ".join([*commands, *reloading()])


def _without(line: int, written: str, gone: list[str]) -> str:
    """Return sed(1)'s commands that take words out; a list that is empty then is a comment."""
    taken = [f'{line}s/([[:blank:]=])"?{in_pattern(one)}"?([[:blank:]]|$)/\\1\\2/' for one in gone]
    return "; ".join([*taken, f"{line}s/^[[:blank:]]*{written}[[:blank:]=]*$/#&/I"])


def _own_group(login: Arrival) -> str:
    """Return the name of the user's private group, "" if they have none."""
    try:
        group = grp.getgrgid(login.entry.pw_gid)
    except KeyError:
        return ""
    return login.user if group.gr_name == login.user else ""


def _check_shell(login: Arrival) -> list[Finding]:
    if login.effective.get("chrootdirectory", NONE) != NONE:
        return []
    shell = login.entry.pw_shell or "/bin/sh"
    name = login.name
    fix = f"usermod --shell {SHELL} {name}"
    try:
        mode = os.stat(shell).st_mode
    except OSError as error:
        what = f"the shell {one_line(shell)}: {error.strerror}"
        return [login.finding("shell", what, ANYTHING, fix)]
    if not stat.S_ISREG(mode) or not mode & 0o111:
        what = f"the shell {one_line(shell)} cannot be executed"
        return [login.finding("shell", what, ANYTHING, fix)]
    if shell in ENDING and login.effective.get("forcecommand", NONE) == NONE:
        what = f"{login.user}: the shell {shell} ends every session"
        why = "sshd lets the user in, and nothing can be done there."
        return [Finding("sshd-shell", WARNING, what, why, fix, login.user)]
    return []


def _check_chroot(login: Arrival) -> list[Finding]:
    """Return what sshd refuses as a ChrootDirectory: others than root may write its path."""
    written = login.effective.get("chrootdirectory", NONE)
    if written == NONE:
        return []
    path = login.expanded(written)
    try:  # it may be in a home, whose file system need not answer
        fault: list[str] = run_as(ROOT, partial(_chroot_fault, path), FILE_SECONDS)
    except CommandError:  # the check of the record reports it
        return []
    if not fault:
        return []
    here, reason = fault
    missing = f"install -d -o root -g root -m 0755 {shlex.quote(here)}"
    fix = root_alone(here) if reason == WRITABLE else missing
    what = f"ChrootDirectory {one_line(here)}: {reason}{login.by('chrootdirectory')}"
    return [login.finding("chroot", what, "After the right response sshd ends the login.", fix)]


def _chroot_fault(path: str) -> list[str]:
    """Return the first directory of a path that sshd refuses, and why; [] if there is none."""
    parts = path.strip("/").split("/")
    for number in range(len(parts) + 1):
        here = "/" + "/".join(parts[:number])
        try:
            status = os.stat(here)
        except OSError as error:
            return [here, str(error.strerror)]
        if status.st_uid or status.st_mode & 0o022:
            return [here, WRITABLE]
    return []


def _check_enabled(login: Arrival) -> list[Finding]:
    """Return which methods AuthenticationMethods asks for, although they are switched off."""
    methods = login.effective.get("authenticationmethods", "any")
    for name, written in (
        ("pubkeyauthentication", "PubkeyAuthentication"),
        ("kbdinteractiveauthentication", "KbdInteractiveAuthentication"),
    ):
        if login.effective.get(name) == "no":
            what = f"AuthenticationMethods {methods}, and {written} no{login.by(name)}"
            why = "sshd accepts none of these ways."
            fix = set_at(login.effective, name, f"{written} yes", login.sshd.config)
            return [login.finding("disabled", what, why, fix)]
    return []
