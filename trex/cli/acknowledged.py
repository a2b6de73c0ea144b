"""`/etc/trex/doctor.toml`: what whoever runs this host knows, and does not want to be told again.

Two kinds of entries, each with its reason: findings of `trex doctor` to leave out (`[[ignore]]`),
and accounts that log in without Trex by intention (`[[exempt]]`). No login reads this file.
"""

from __future__ import annotations

import grp
import ipaddress
import json
import os
import re
import secrets
import tomllib
from dataclasses import dataclass, field
from typing import Any

from trex.cli.delegate import hint_for
from trex.cli.errors import CommandError
from trex.cli.installed import document
from trex.cli.location import ROOT
from trex.errors import OWNER, WRITABLE, FileUnsafe, NoRecord, cut, one_line
from trex.system.rewriting import write_durably
from trex.system.safefile import read_safely

FILE = "/etc/trex/doctor.toml"
CHECK = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
MODE, DIRECTORY_MODE = 0o644, 0o755  # everybody may know; nothing in it is secret
MAX_REASON = 500  # characters
HEAD = f"# What trex doctor and trex list leave out, and why: {document('docs/command.md')}\n"
# What an entry of each kind may have. `reason` is needed in both.
KEYS = {
    "ignore": ("check", "reason", "subject", "line"),
    "exempt": ("user", "group", "reason", "address"),
}


class AcknowledgementError(CommandError):
    """The file cannot be used. `entry` is as `[[ignore]] 2`, `key` as `reason`; both may be "".

    `is_unsafe` is whether others can have written it; the hint is then the command against that.
    """

    exit_code = 2  # of `trex doctor` and `trex list`, an error: 1 would be a warning

    def __init__(
        self, path: str, told: str, entry: str = "", key: str = "", hint: str = ""
    ) -> None:
        where = "".join([f"{entry}: " if entry else "", f"{key}: " if key else ""])
        super().__init__(f"{path}: {where}{told}", hint or f"sudoedit {path}")
        self.is_unsafe = bool(hint)
        self.path = path
        self.entry = entry
        self.key = key


@dataclass(frozen=True)
class Ignored:
    """Findings to leave out: of the name `check`, about `subject`, "" for whatever it is about.

    `line` is the finding's own: one with another line is not covered, nor by an entry without one.
    """

    check: str
    reason: str
    subject: str = ""
    line: str = ""

    def covers(self, check: str, subject: str, line: str) -> bool:
        """Return whether a finding is one of these."""
        return self.check == check and self.subject in ("", subject) and self.line == line


@dataclass(frozen=True)
class Exempt:
    """An account, or a group's members, that log in without Trex by intention.

    Exactly one of `user` and `group` is not "". `address` has networks as `10.0.0.0/8,fd00::/8`
    that such logins come from, "" for any.
    """

    user: str
    group: str
    reason: str
    address: str = ""

    def comes_from(self, address: str) -> bool:
        """Return whether a login from this IP address, or "" for any login, is one of these."""
        if not self.address or not address:
            return not self.address
        here = ipaddress.ip_address(address)
        return any(here in network for network in _networks(self.address))


@dataclass
class Acknowledged:
    """What the file says; nothing where there is none."""

    ignored: list[Ignored] = field(default_factory=list)
    exempt: list[Exempt] = field(default_factory=list)
    _groups: dict[str, tuple[int, frozenset[str]]] = field(default_factory=dict, repr=False)

    def why_ignored(self, check: str, subject: str, line: str = "") -> Ignored | None:
        """Return the entry that leaves such a finding out."""
        return next((one for one in self.ignored if one.covers(check, subject, line)), None)

    def why_exempt(self, name: str, gid: int, address: str = "") -> Exempt | None:
        """Return the entry by which an account with this primary group is exempt.

        With `address` "", also an entry that is for some addresses alone is returned if no
        other is there. Each group is looked up once, so that this is quick for many accounts.
        """
        own = [one for one in self.exempt if self._is_of(one, name, gid)]
        if address:
            return next((one for one in own if one.comes_from(address)), None)
        return min(own, key=lambda one: bool(one.address), default=None)

    def _is_of(self, one: Exempt, name: str, gid: int) -> bool:
        if one.user:
            return one.user == name
        if one.group not in self._groups:
            self._groups[one.group] = _members(one.group)
        number, members = self._groups[one.group]
        return gid == number or name in members


def read_acknowledged(path: str = FILE) -> Acknowledged:
    """Return what the file says. Raises AcknowledgementError.

    Anybody may read it. It is refused if others than root can have written it: whoever writes it
    decides which findings the administrator sees.
    """
    return parse_acknowledged(_read(path) or "", path)


def parse_acknowledged(text: str, path: str = FILE) -> Acknowledged:
    """Return what the file's `text` says. Raises AcknowledgementError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AcknowledgementError(path, one_line(str(error))) from None
    except (RecursionError, ValueError):  # brackets without end; of int(), too many digits
        raise AcknowledgementError(path, "expected TOML, found something else") from None
    for name in table:
        if name not in KEYS:
            raise AcknowledgementError(
                path, f'expected [[ignore]] and [[exempt]], found "{cut(one_line(name))}"'
            )
    return Acknowledged(
        [_ignored(path, where, entry) for where, entry in _entries(path, table, "ignore")],
        [_exempt(path, where, entry) for where, entry in _entries(path, table, "exempt")],
    )


def add_ignored(added: list[Ignored], path: str = FILE) -> bool:
    """Append entries that are not there yet; return whether the file has changed.

    What it has stays, comments too. Raises AcknowledgementError with nothing changed.
    """
    before = _read(path)
    known = parse_acknowledged(before or "", path).ignored
    new = [one for one in added if one not in known]
    if not new:
        return False
    text = (before or HEAD).rstrip("\n") + "\n" + "".join(map(_written, new))
    parse_acknowledged(text, path)
    try:
        _replace(path, text.encode())
    except OSError as error:
        raise AcknowledgementError(path, str(error.strerror)) from None
    return True


def _read(path: str) -> str | None:
    try:
        return read_safely(path, ROOT).decode("utf-8")
    except NoRecord:
        return None
    except FileUnsafe as error:
        told = f"expected {error.expected}, found {error.found}"
        hint = hint_for(error) if error.kind in (OWNER, WRITABLE) else ""
        raise AcknowledgementError(error.path, told, hint=hint) from None
    except UnicodeDecodeError:
        raise AcknowledgementError(path, "expected UTF-8 text, found other bytes") from None


def _entries(path: str, table: dict[str, Any], kind: str) -> list[tuple[str, dict[str, str]]]:
    """Return the entries of a kind with their names, after a look at their keys."""
    found = table.get(kind, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise AcknowledgementError(path, f"expected tables such as [[{kind}]]", kind)
    entries = [(f"[[{kind}]] {number}", entry) for number, entry in enumerate(found, start=1)]
    for where, entry in entries:
        for key, value in entry.items():
            if key not in KEYS[kind]:
                told = f'expected {", ".join(KEYS[kind])}, found "{cut(one_line(key))}"'
                raise AcknowledgementError(path, told, where)
            if not isinstance(value, str) or not value.strip() or not value.isprintable():
                raise AcknowledgementError(path, "expected one line of text", where, key)
        if "reason" not in entry:
            raise AcknowledgementError(path, "it is missing", where, "reason")
    return entries


def _ignored(path: str, where: str, entry: dict[str, str]) -> Ignored:
    check = entry.get("check", "")
    if not CHECK.fullmatch(check):
        told = "expected a check's name, as trex doctor --json has it"
        raise AcknowledgementError(path, told, where, "check")
    return Ignored(check, entry["reason"], entry.get("subject", ""), entry.get("line", ""))


def _exempt(path: str, where: str, entry: dict[str, str]) -> Exempt:
    if ("user" in entry) == ("group" in entry):
        raise AcknowledgementError(path, "expected either user or group", where)
    address = entry.get("address", "")
    try:
        _networks(address)
    except ValueError:
        told = "expected networks such as 10.0.0.0/8, separated by commas"
        raise AcknowledgementError(path, told, where, "address") from None
    return Exempt(entry.get("user", ""), entry.get("group", ""), entry["reason"], address)


def _networks(written: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the networks of an entry's `address`. Raises ValueError."""
    return [ipaddress.ip_network(one.strip()) for one in written.split(",")] if written else []


def _members(group: str) -> tuple[int, frozenset[str]]:
    try:
        entry = grp.getgrnam(group)
    except KeyError:  # no such group (yet)
        return -1, frozenset()
    return entry.gr_gid, frozenset(entry.gr_mem)


def _written(one: Ignored) -> str:
    """Return an entry in TOML; in one printable line, a JSON string is a TOML string."""
    lines = [
        ("check", one.check), ("subject", one.subject), ("line", one.line), ("reason", one.reason)
    ]  # fmt: skip
    told = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in lines if value]
    return "\n".join(["", "[[ignore]]", *told, ""])


def _replace(path: str, content: bytes) -> None:
    """Write the file in one step; a reader sees the old one or the new one."""
    directory, name = os.path.split(path)
    os.makedirs(directory, DIRECTORY_MODE, exist_ok=True)
    made = os.path.join(directory, f".{name}.{secrets.token_hex(4)}.new")
    write_durably(path, made, content, MODE)
