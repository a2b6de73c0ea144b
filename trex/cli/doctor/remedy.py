"""How a finding is fixed: by what can be typed into a root shell, as it is printed.

What follows a `#` is for the reader, and a fix that begins with it is one that no command can do.
Words in capitals, such as FILE, are for the reader to fill in. A line is named by its text, so
that the command does nothing where the file has changed since; two fixes can be pasted in turn.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from typing import TYPE_CHECKING

from trex.cli.doctor.doors import ENTRY, NATIVE, asked_by
from trex.cli.installed import OF_FILE, REINSTALL, is_of_a_package

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trex.cli.doctor.stack import Rule

SOURCES = "TREX: its sources"
SYSTEMD = "/run/systemd/system"  # sd_booted(3)
SPECIAL = frozenset(r"\.[]*^$|")  # in a basic regular expression, and the separator
COMMON = re.compile(r"@include[ \t]+common-auth\b|auth[ \t]+(include|substack)[ \t]+common-auth\b")
MAX_SIZE = 1 << 20


def by_hand(text: str) -> str:
    """Return a fix that no command can do."""
    return f"# {text}"


def from_sources(option: str = "") -> str:
    """Return the command that installs Trex once more: from its sources, which can be anywhere.

    Or what the package's files come from.
    """
    if is_of_a_package():
        return f"{REINSTALL}  # {OF_FILE}"
    return f"cd TREX && script/install{option}  # {SOURCES}"


def bootstrap(step: str, then: str = "") -> str:
    """Return the command that installs what Trex needs, then Trex, and does what comes then."""
    if is_of_a_package():
        command = "apt install libpam-python" if step == "python" else REINSTALL
        return f"{' && '.join([command, *filter(None, [then])])}  # {OF_FILE}"
    steps = [f"cd TREX && script/bootstrap {step} && script/install", *filter(None, [then])]
    return f"{' && '.join(steps)}  # {SOURCES}"


def is_booted() -> bool:
    """Return whether systemd manages this host: not so in a chroot and in most containers."""
    return os.path.isdir(SYSTEMD)


def edit(path: str, number: int, line: str) -> str:
    """Return the command that puts `line`, or several, in the place of line `number`, from 1 on.

    It is by hand where the file cannot be read, or the line goes on behind a backslash.
    """
    path = os.path.realpath(path)
    lines = _lines(path)
    if not 0 < number <= len(lines) or lines[number - 1].endswith("\\"):
        return by_hand(f"in {path}, line {number}: {line}")
    old = lines[number - 1]
    where = "" if lines.count(old) == 1 else str(number)
    pattern = as_pattern(old)
    written = "".join({"\n": "\\n"}.get(c, f"\\{c}" if c in "\\&|" else c) for c in line)
    script = f"{where}s|^{pattern}$|{written}|"
    return f"sed -i {shlex.quote(script)} {shlex.quote(path)}"


def as_pattern(text: str) -> str:
    """Return sed's basic regular expression for a text, between `|` and `|`."""
    return "".join(f"\\{c}" if c in SPECIAL else c for c in text)


def without_number(path: str, name: str) -> str:
    """Return the command that makes a user's line in a map of numbers a comment."""
    script = rf"\|^[[:blank:]]*{as_pattern(name)}[[:blank:]]|s/^/# /"
    return f"sed -i {shlex.quote(script)} {shlex.quote(path)}"


def is_of_another(path: str, uid: int) -> bool:
    """Return whether this is a regular file, and another account's."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid != uid


def set_line(rule: Rule, line: str) -> str:
    """Return the command that replaces a rule's line."""
    return edit(rule.path, rule.line, line)


def instead_of_common(path: str, line: str) -> str:
    """Return the command that has a service's file ask by this line, and not by common-auth.

    Without such an include, the line comes first.
    """
    for number, text in enumerate(_lines(path), start=1):
        if COMMON.match(text):
            return edit(path, number, line)
    return f"sed -i {shlex.quote(f'1i {line}')} {shlex.quote(path)}"


def take_out(rule: Rule) -> str:
    """Return the command that makes a rule's line a comment."""
    return edit(rule.path, rule.line, f"# {_text(rule)}")


def put_before(rule: Rule, line: str) -> str:
    """Return the command that adds a line before a rule."""
    return edit(rule.path, rule.line, f"{line}\n{_text(rule)}")


def put_after(rule: Rule, line: str) -> str:
    """Return the command that adds a line after a rule."""
    return edit(rule.path, rule.line, f"{_text(rule)}\n{line}")


def with_control(rule: Rule, control: str) -> str:
    """Return the command that gives a rule another control."""
    return set_line(rule, _text(rule).replace(_control(rule), control, 1))


def with_arguments(rule: Rule, *arguments: str) -> str:
    """Return the command that gives a line of Trex's these arguments, in the place of such."""
    names = [argument.partition("=")[0] for argument in arguments]
    kept = [one for one in _arguments(rule) if one.partition("=")[0] not in names]
    return set_line(rule, line_of(rule, [*arguments, *kept]))


def without_argument(rule: Rule, name: str) -> str:
    """Return the command that takes an argument of Trex's away."""
    kept = [one for one in _arguments(rule) if one.partition("=")[0] != name]
    return set_line(rule, line_of(rule, kept))


def line_of(rule: Rule, arguments: list[str], door: str = "") -> str:
    """Return a line of Trex's with other arguments; through another door, if one is given."""
    if not door:
        door = rule.module
        door += "" if rule.name == NATIVE else f" {bracketed(''.join(rule.arguments[:1]) or ENTRY)}"
    return " ".join(["auth", _control(rule), door, *map(bracketed, arguments)])


def through_native(rule: Rule, more: Sequence[str] = ()) -> str:
    """Return the command after which a line asks Trex the same through pam_trex.so.

    `more` are arguments that it is to have besides.
    """
    return set_line(rule, line_of(rule, [*_arguments(rule), *more], NATIVE))


def bracketed(argument: str) -> str:
    """Return an argument as pam.conf(5) wants it where it has blanks."""
    if not argument or argument.startswith("[") or any(blank in argument for blank in " \t"):
        return "[" + argument.replace("]", "\\]") + "]"
    return argument


def _arguments(rule: Rule) -> list[str]:
    asked = asked_by(rule)
    return list(asked.arguments) if asked else list(rule.arguments)


def _control(rule: Rule) -> str:
    return f"[{rule.control}]" if "=" in rule.control else rule.control


def _text(rule: Rule) -> str:
    """Return a rule's line as it stands in its file."""
    lines = _lines(os.path.realpath(rule.path))
    return lines[rule.line - 1] if 0 < rule.line <= len(lines) else ""


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(MAX_SIZE).split("\n")
    except OSError:
        return []
