"""Which lines ask Trex in a PAM service, and where in its file they go.

The lines are those of docs/configuration.md.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trex.cli.activation.edits import NOTHING_CHANGED
from trex.cli.doctor.doors import ENTRY, NATIVE, PAM_PYTHON
from trex.cli.doctor.module import files_of
from trex.cli.doctor.stack import assemble, tokens
from trex.cli.errors import CommandError
from trex.cli.installed import document, how_to_install, is_of_a_package
from trex.login.options import CENTRAL, CENTRAL_RECOVERY, CENTRAL_TOTP, METHODS, parse_options

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRECTORY = "/etc/pam.d"
# The files of each service: `sudo -i` asks for a service of its own, as `su -` does.
SERVICES = {
    "sshd": ("sshd",),
    "sudo": ("sudo", "sudo-i"),
    "su": ("su", "su-l"),
    "login": ("login",),
}
# Users start these, and they are root: records of root's alone, and no Python in their process.
GIVING_ROOT = ("sudo", "su")
# Files that ask for a password, which the new lines replace: Debian's, and other systems'.
REPLACED = ("common-auth", "system-auth", "password-auth", "system-login", "system-remote-login")
INCLUDES = ("@include", "include", "substack")
FAILLOCK = "pam_faillock.so"
TREX = re.compile(r"^[^#\n]*pam_trex\.(?:so|py)", re.MULTILINE)
BY_HAND = f"{NOTHING_CHANGED}; {document('docs/configuration.md')} has the steps by hand"


@dataclass(frozen=True)
class Choice:
    """How a service shall ask Trex. `door` is "native" or "python"."""

    service: str
    methods: tuple[str, ...] = ("openpgp",)
    door: str = "native"
    central: bool = False
    nullok: bool = False
    with_faillock: bool = False

    @property
    def command(self) -> str:
        """The command that makes this choice."""
        words = ["trex activate", self.service]
        words += [f"--method {method}" for method in self.methods if self.methods != ("openpgp",)]
        words += ["--door python"] if self.door == "python" else []
        for name in ("central", "nullok", "with_faillock"):
            if getattr(self, name) and not (name == "central" and self.service in GIVING_ROOT):
                words.append("--" + name.replace("_", "-"))
        return " ".join(words)


def check_choice(choice: Choice) -> None:
    """Raise CommandError for a combination that would be weak, or would refuse everybody."""
    root = choice.service in GIVING_ROOT
    if root and choice.door == "python":
        why = "whoever calls it could have root run their own code"
        raise CommandError(
            f"{choice.service} never asks through {PAM_PYTHON}: {why}", "--door native"
        )
    if root and set(choice.methods) - {"openpgp", "recovery"}:
        why = "users can write what the other methods compare with"
        told = f"{choice.service} takes the key alone: {why}"
        raise CommandError(told, document("docs/configuration.md"))
    if choice.with_faillock and (choice.nullok or len(choice.methods) > 1):
        why = "the count of failures would be cleared, or not counted"
        raise CommandError(f"--with-faillock goes with one method, and not with --nullok: {why}")
    if "sms" in choice.methods[:-1]:
        raise CommandError("--method sms: expected it last, after the key", document("docs/sms.md"))
    if choice.nullok and len(choice.methods) > 1:
        raise CommandError(
            "--nullok goes with one method", "with several, the last is for all others"
        )
    if choice.with_faillock and not files_of(FAILLOCK):
        raise CommandError(f"{FAILLOCK} is not installed", BY_HAND)
    for method in choice.methods:
        parse_options(arguments_of(choice, method))


def arguments_of(choice: Choice, method: str) -> list[str]:
    """Return the module's arguments for one method."""
    central = choice.central or choice.service in GIVING_ROOT
    words = [] if method == "openpgp" else [f"method={method}"]
    if central and method == "openpgp":
        words += [f"{name}={value}" for name, value in CENTRAL.items()]
    if central and method == "totp":
        words += [f"{name}={value}" for name, value in CENTRAL_TOTP.items()]
    if central and method == "recovery":
        words.append(f"run_as={CENTRAL['run_as']}")
    if central and "recovery" in choice.methods and method in ("openpgp", "recovery"):
        words.append(f"recovery_file={CENTRAL_RECOVERY}")  # who has used a code is told by the key
    return words


def door_words(door: str) -> str:
    """Return what a PAM line says to ask Trex. Raises CommandError if that is not installed."""
    if not files_of(NATIVE if door == "native" else PAM_PYTHON):
        python = (
            "apt install libpam-python" if is_of_a_package() else "sudo script/bootstrap runtime"
        )
        hint = how_to_install() if door == "native" else python
        raise CommandError(f"{NATIVE if door == 'native' else PAM_PYTHON} is not installed", hint)
    return NATIVE if door == "native" else f"{PAM_PYTHON} {ENTRY}"


def usual_door(service: str) -> str:
    """Return the door that is installed, native where both are."""
    return "native" if service in GIVING_ROOT or files_of(NATIVE) else "python"


def lines_of(choice: Choice, replaced: str) -> list[str]:
    """Return the lines in the place of the line `replaced`, which asks for a password."""
    trex = [" ".join([door_words(choice.door), *arguments_of(choice, m)]) for m in choice.methods]
    if choice.with_faillock:
        return [
            f"auth  requisite  {FAILLOCK} preauth",
            f"auth  [success=1 auth_err=bad default=die]  {trex[0]}",
            f"auth  [default=die]  {FAILLOCK} authfail",
            f"auth  required  {FAILLOCK} authsucc",
        ]
    if choice.nullok:  # whoever has no record goes on to what stood here: a jump counts it as one
        return [
            f"auth  [success=1 ignore=ignore default=die]  {trex[0]} nullok",
            f"auth  substack  {tokens(replaced)[-1]}",
            "auth  required  pam_permit.so",
        ]
    found = [f"auth  sufficient  {line} nullok" for line in trex[:-1]]
    found.append(f"auth  required  {trex[-1]}")
    if choice.methods == ("sms",) and choice.service != "sshd":  # after the password: README.md
        return [replaced, *found]
    return found


def with_lines(text: str, choice: Choice, path: str) -> str:
    """Return a service's text with Trex's lines in the place of the one that asks for a password.

    Every other byte stays. Raises CommandError where there is not exactly one such line, or Trex
    is asked already.
    """
    if TREX.search(text):
        raise CommandError(
            f"{path} asks Trex already, and trex activate has not written that", BY_HAND
        )
    numbers = [number for number, words in _auth_lines(text) if _is_replaced(words)]
    if len(numbers) != 1:
        raise CommandError(
            f"{path}: expected one line that includes {REPLACED[0]}, found {len(numbers)}", BY_HAND
        )
    lines = text.split("\n")
    old = lines[numbers[0] - 1]
    comment = [
        f'# Trex in the place of "{old.strip()}", which trex deactivate restores.',
        f"# Written by {choice.command}",
    ]
    lines[numbers[0] - 1 : numbers[0]] = [*comment, *lines_of(choice, old.strip())]
    return "\n".join(lines)


def files_to_change(service: str) -> list[str]:
    """Return which of the service's files ask for a password themselves, not by another one."""
    found = []
    for name in SERVICES[service]:
        path = os.path.join(DIRECTORY, name)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                words = [words for _, words in _auth_lines(file.read())]
        except OSError:
            continue
        if name == service or any(map(_is_replaced, words)):
            found.append(path)
    if not found:
        raise CommandError(f"{DIRECTORY}/{service}: no such file", BY_HAND)
    return found


def _auth_lines(text: str) -> list[tuple[int, list[str]]]:
    """Return the lines that are about `auth`, as words, with their numbers."""
    found = []
    for number, line in assemble(text):
        try:
            words = tokens(line)
        except ValueError:  # libpam cannot read it either: the doctor says so
            continue
        if words[0] == "@include" or words[0].removeprefix("-").lower() == "auth":
            found.append((number, words))
    return found


def _is_replaced(words: Sequence[str]) -> bool:
    is_include = words[0] == "@include" or (len(words) > 1 and words[1] in INCLUDES)
    return is_include and words[-1] in REPLACED


KNOWN_METHODS = tuple(METHODS)
