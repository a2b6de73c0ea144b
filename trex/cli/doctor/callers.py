"""Trex's lines in all services: through which any user becomes root, and which are shared."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.doctor import stack as pam
from trex.cli.doctor import sudoers
from trex.cli.doctor.doors import NATIVE, PAM_PYTHON, asked_by, trex_rules
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.lockers import check_lockers
from trex.cli.doctor.module import files_of
from trex.cli.doctor.programs import OWN_RECORD, central_arguments
from trex.cli.doctor.remedy import bootstrap, by_hand, take_out, through_native
from trex.errors import OptionError
from trex.login.options import parse_options

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule

# Services of programs that users start with an environment of their own, and that then are root.
SET_USER_ID = (
    "su", "su-l", "chfn", "chsh", "newgrp", "polkit-1", "passwd", "doas", "vlock", "ppp", "kde",
)  # fmt: skip
PROGRAMS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")  # for others: by name
SPOKEN = {"polkit-1": "polkit-1 (pkexec)"}
# Files that services include, as Debian and Fedora name them, and what editors and packages leave.
NO_SERVICE = (".", "common-", "system-auth", "password-auth", "postlogin")
LEFT = ("~", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmsave", ".rpmnew", ".bak", ".orig")
OLD_GUARD = "pam_trex_path.so"  # of earlier versions; script/install leaves it while it is named
RUNS_AS_ROOT = (
    "Whoever may call such a program can run code as root: Python follows the caller's PATH."
)


class Line:
    """One line of Trex's, the services that have it, and those with the old guard before it."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.services: list[str] = []
        self.guarded: list[str] = []
        self.guards: list[Rule] = []

    @property
    def fix(self) -> str:
        """The same through pam_trex.so, once that is installed.

        In central mode, if a program gives its user more rights.
        """
        change = "; ".join([through_native(self.rule, self._lacking), *map(take_out, self.guards)])
        return change if files_of(NATIVE) else bootstrap("native", f"{{ {change}; }}")

    @property
    def _lacking(self) -> list[str]:
        if not any(service in OWN_RECORD for service in self.services):
            return []
        asked = asked_by(self.rule)
        with suppress(OptionError):  # which another check reports
            return central_arguments(parse_options(asked.arguments if asked else [])).split()
        return []


def check_callers() -> list[Finding]:
    """Return what is wrong with who starts a service of Trex's, and the lines that are shared."""
    findings = []
    for line in lines_in_services():
        asked = asked_by(line.rule)
        if asked and asked.door == PAM_PYTHON:
            findings += [*_check_set_user_id(line), *_check_sudo(line)]
        findings += [*_check_shared(line), *check_lockers(line.rule, line.services)]
    return findings


def lines_in_services() -> list[Line]:
    """Return Trex's lines in all services that libpam can be asked for."""
    lines: dict[tuple[str, int], Line] = {}
    for service in services_here():
        stack = pam.read_stack(service)
        for rule in trex_rules(stack):
            line = lines.setdefault((rule.path, rule.line), Line(rule))
            line.services.append(service)
            before = stack.rules[: stack.rules.index(rule)]
            if guards := [other for other in before if other.name == OLD_GUARD]:
                line.guarded.append(service)
                line.guards += [guard for guard in guards if guard not in line.guards]
    return list(lines.values())


def services_here() -> list[str]:
    """Return the names of the services that libpam can be asked for."""
    names: set[str] = set()
    for directory in pam.DIRECTORIES:
        if os.path.isdir(directory):
            names.update(os.listdir(directory))
    return sorted(
        name for name in names if not name.startswith(NO_SERVICE) and not name.endswith(LEFT)
    )


def is_called_by_users(service: str) -> bool:
    """Return whether the service's program is set-user-ID, as far as is known."""
    if service in (*SET_USER_ID, *sudoers.SERVICES):
        return True
    for directory in PROGRAMS:
        try:
            mode = os.stat(f"{directory}/{service}").st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and mode & stat.S_ISUID:
            return True
    return False


def _check_set_user_id(line: Line) -> list[Finding]:
    started = [
        service
        for service in line.services
        if service not in sudoers.SERVICES and is_called_by_users(service)
    ]
    findings = []
    if bare := [service for service in started if service not in line.guarded]:
        findings.append(_through_python(line, bare, ERROR, RUNS_AS_ROOT))
    if guarded := [service for service in started if service in line.guarded]:
        why = f"{OLD_GUARD} keeps the caller's PATH from Python, but is no longer part of Trex."
        findings.append(_through_python(line, guarded, WARNING, why))
    return findings


def _through_python(line: Line, services: list[str], severity: str, why: str) -> Finding:
    names = ", ".join(SPOKEN.get(service, service) for service in services)
    ask = "asks" if len(services) == 1 else "ask"
    what = f"{line.rule.where}: {names} {ask} Trex through {PAM_PYTHON}"
    return Finding("caller-path", severity, what, why, line.fix)


def _check_sudo(line: Line) -> list[Finding]:
    """Return what is wrong with sudo, which sets PATH itself if secure_path is set."""
    asking = [service for service in line.services if service in sudoers.SERVICES]
    if not asking or set(asking) <= set(line.guarded):
        return []
    if not sudoers.can_be_read():
        what = "/etc/sudoers was not checked for secure_path"
        return [Finding("sudo-path", NOTE, what, RUNS_AS_ROOT, "sudo trex doctor")]
    if sudoers.has_secure_path():
        why = "Nothing but secure_path in /etc/sudoers keeps the caller's PATH from Python."
        return [_through_python(line, asking, NOTE, why)]
    what = "/etc/sudoers sets no secure_path"
    return [Finding("sudo-path", ERROR, what, RUNS_AS_ROOT, line.fix)]


def _check_shared(line: Line) -> list[Finding]:
    """Return a note for a line in a file that services include, such as common-auth."""
    own = os.path.basename(line.rule.path)
    if all(name == own or name.startswith(f"{own}-") for name in line.services):  # su and su-l
        return []
    names = ", ".join(SPOKEN.get(service, service) for service in line.services)
    what = f"{line.rule.where}: Trex is asked by every service that has this file: {names}"
    why = "A user who is not set up for Trex is refused by all of them."
    fix = by_hand("if that is too many, put the line into the file of each service that should ask")
    return [Finding("pam-shared", NOTE, what, why, fix)]
