"""Where sshd's settings are written, and the command that changes one (sshd_config(5)).

sshd itself says what is in force (`sshd -T`). Here its files are read for one thing alone: which
line a command has to change, so that it takes effect.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from typing import NamedTuple

from trex.cli.doctor.remedy import edit, is_booted

MAIN = "/etc/ssh/sshd_config"
FILE = "/etc/ssh/sshd_config.d/01-trex.conf"
PID = "/run/sshd.pid"
PRIVILEGE_SEPARATION = "/run/sshd"  # sshd -t wants it; it is there as long as the service is
MAX_SIZE, MAX_FILES = 1 << 20, 256
WORD = re.compile(r"^[ \t]*([A-Za-z0-9]+)[ \t]*[ \t=][ \t]*(.*?)[ \t\r]*$")
# Of these OpenSSH 9.2 takes the last line, of all others the first.
LAST = ("maxstartups", "persourcemaxstartups")


class Written(NamedTuple):
    """One line of a file; `matched` is whether a Match block has it."""

    path: str
    number: int
    name: str  # in small letters
    value: str
    matched: bool


def read_lines() -> tuple[list[Written], set[str]]:
    """Return all lines in the order in which sshd reads them, and the directories it includes."""
    lines: list[Written] = []
    directories: set[str] = set()
    _read(MAIN, lines, directories, [], matched=False)
    return lines, directories


def setting(name: str, value: str, found: str) -> str:
    """Return the command that gives sshd the setting `name`, where `found` is in force."""
    lines, directories = read_lines()
    own = [line for line in lines if line.name == name.lower()]
    plain = [line for line in own if not line.matched]
    matched = [line for line in own if line.matched and line.value.lower() == found.lower()]
    if plain and (plain[0].value.lower() == found.lower() or not matched):
        chosen = plain if name.lower() in LAST else plain[:1]
    else:
        chosen = matched
    commands = [edit(line.path, line.number, _indented(line, name, value)) for line in chosen]
    return "; ".join([*(commands or [_added(f"{name} {value}", directories)]), *reloading()])


def _indented(line: Written, name: str, value: str) -> str:
    return f"{'    ' if line.matched else ''}{name} {value}"


def _added(line: str, directories: set[str]) -> str:
    """Return the command that adds a line at the top of the file of ours, if sshd reads that."""
    path = FILE if os.path.dirname(FILE) in directories else MAIN
    if os.path.exists(path) and os.path.getsize(path):  # at its end, a Match block may be open
        return f"sed -i {shlex.quote(f'1i {line}')} {path}"
    return f"echo {shlex.quote(line)} >> {path}"


def reloading() -> list[str]:
    """Return what has a running sshd take its settings again."""
    if is_booted():
        return ["sshd -t && systemctl reload ssh"]
    return [f"sshd -t && kill -HUP $(cat {PID})"] if os.path.exists(PID) else []


def _read(
    path: str, lines: list[Written], directories: set[str], seen: list[str], *, matched: bool
) -> None:
    """Read a file and those that it includes; a Match block ends with the file that has it."""
    if len(seen) >= MAX_FILES:
        return
    seen.append(path)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read(MAX_SIZE)
    except OSError:
        return
    for number, text in enumerate(content.split("\n"), start=1):
        found = WORD.match(text)
        if not found:
            continue
        name, value = found[1].lower(), found[2]
        if name == "match":
            matched = value.strip().lower() != "all"
        elif name == "include":
            for word in value.split():
                pattern = os.path.join(os.path.dirname(MAIN), word.strip('"'))
                if not matched:
                    directories.add(os.path.dirname(pattern))
                for included in sorted(glob.glob(pattern)):
                    _read(included, lines, directories, seen, matched=matched)
        else:
            lines.append(Written(path, number, name, value, matched))
