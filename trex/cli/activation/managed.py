"""Who else has a say in a file: packages, configuration tools, links, services that include it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from typing import TYPE_CHECKING

from trex.cli.activation.lines import REPLACED, SERVICES
from trex.cli.activation.reload import ENVIRONMENT
from trex.cli.doctor import stack as pam
from trex.cli.doctor.callers import LEFT, NO_SERVICE

if TYPE_CHECKING:
    from trex.cli.activation.plan import Edit

DPKG_QUERY = "/usr/bin/dpkg-query"
SECONDS = 20
# What tools write at the head of a file that they will write again.
MARKS = re.compile(
    r"^\s*[#;].*?\b(ansible|puppet|chef|salt|cfengine|chezmoi|authselect|cloud-init"
    r"|(?:this file|it) is (?:managed|(?:auto-?)?generated)|managed by|do not edit)\b.*$",
    re.IGNORECASE | re.MULTILINE,
)
SILENT = ("pam_permit.so", "pam_deny.so")  # they ask nobody


def notes_on(edit: Edit, path: str) -> list[str]:
    """Return what whoever changes the file at `path` should know."""
    notes = []
    if edit.path != path and os.path.realpath(path) == edit.path:
        notes.append(f"{path} leads to {edit.path}: that file is changed, and the link stays.")
    if mark := MARKS.search(edit.before or ""):
        notes.append(
            f'{edit.path} says "{mark[0].strip()}": whoever writes it will undo this. '
            "Make the change there too."
        )
    if package := package_of(edit.path):
        name, text = package
        changed = hashlib.md5((edit.before or "").encode("utf-8", "surrogateescape"),
                              usedforsecurity=False).hexdigest() != text  # fmt: skip
        state = "which differs from the package's already" if changed else "as the package has it"
        notes.append(
            f"{edit.path} is a configuration file of {name}, {state}: an upgrade that has another "
            "one asks. Keep yours."
        )
    return notes


def package_of(path: str) -> tuple[str, str] | None:
    """Return the package whose configuration file that is, and its MD5 there; None for none."""
    told = _dpkg("-S", path)
    if not told or ": " not in told:
        return None
    name = told.partition(": ")[0].partition(",")[0]
    for line in _dpkg("-W", "-f=${Conffiles}", name).splitlines():
        words = line.split()
        if words[:1] == [path] and len(words) > 1:
            return name, words[1]
    return None


def _dpkg(*words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            [DPKG_QUERY, *words], capture_output=True, text=True, check=False, timeout=SECONDS,
            stdin=subprocess.DEVNULL, env=ENVIRONMENT,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def services_beside(service: str, paths: list[str]) -> list[str]:
    """Return the other services that read one of these files, and so get the lines as well."""
    names: set[str] = set()
    for directory in pam.DIRECTORIES:
        if os.path.isdir(directory):
            names.update(os.listdir(directory))
    return sorted(
        name
        for name in names - {service}
        if not name.startswith(NO_SERVICE)
        and not name.endswith(LEFT)
        and any(os.path.realpath(rule.path) in paths for rule in pam.read_stack(name).rules)
    )


def no_longer_asked(service: str) -> list[str]:
    """Return the modules that the replaced line has had asked until now."""
    rules = pam.read_stack(service).rules
    of_include = (rule.name for rule in rules if os.path.basename(rule.path) in REPLACED)
    return [name for name in dict.fromkeys(of_include) if name not in SILENT]


def services_of(service: str, paths: list[str]) -> list[str]:
    """Return the services whose logins show that the new files work."""
    return list(dict.fromkeys([*SERVICES[service], *services_beside(service, paths)]))
