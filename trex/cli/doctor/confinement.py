"""What this host has to confine gpg and the page's process with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trex.cli.doctor.finding import NOTE, Finding
from trex.cli.doctor.module import root_of
from trex.cli.doctor.remedy import by_hand, from_sources
from trex.errors import MAX_PATH, cut
from trex.openpgp.keyring import CONFINER
from trex.system import landlock, seccomp

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule
    from trex.login.options import Options

    Lines = list[tuple[Rule | None, Options]]

SCRIPT = b"#!"


def check_confinement(lines: Lines) -> list[Finding]:
    """Return one note if anything lacks; logins do without."""
    lacking = []
    if not seccomp.is_available():
        lacking.append(f"no filters for system calls (seccomp) on {os.uname().machine}")
    if landlock.version() == 0:
        lacking.append("no Landlock in this kernel")
    for rule, options in lines:
        if rule is not None and options.method == "openpgp":
            lacking += _lacking_to_gpg(rule, options)
    if not lacking:
        return []
    return [
        Finding("confinement", NOTE, "; ".join(dict.fromkeys(lacking)),
                "Whoever takes over gpg or a page's process can do there what its account can.",
                by_hand("nothing: logins do without"))
    ]  # fmt: skip


def _lacking_to_gpg(rule: Rule, options: Options) -> list[str]:
    root = root_of(rule)
    if not root or not os.path.isdir(os.path.join(root, "trex")):
        return []  # other checks say so
    program = os.path.join(root, os.path.basename(CONFINER))
    if not os.path.exists(program):
        return [
            f"gpg is not confined: {program} is missing (gcc, libc6-dev; then {from_sources()})"
        ]
    return [f"gpg={cut(options.gpg, MAX_PATH)} is a script"] if _is_script(options.gpg) else []


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(SCRIPT)) == SCRIPT
    except OSError:  # other checks say so
        return False
