"""sshd's effective settings, as sshd itself reports them, by user and origin of a login.

`sshd -T -C` evaluates the Match blocks, and with `-ddd` says which line has set what. So sshd also
says which block is the reason. An answer takes some milliseconds: users whom no Match line tells
apart share one.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from trex.cli.doctor.matching import (
    OF_NOBODY,
    PUBLIC,
    Match,
    Origin,
    fits,
    matches_in,
    origins,
    traits,
)

SSHD, CONFIG = "/usr/sbin/sshd", "/etc/ssh/sshd_config"
SECONDS = 20
MAX_SIZE = 1 << 20
FORBIDDEN = re.compile("[,\\s\0]")  # sshd would read `-C user=a,addr=b` as two
ALIASES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "skeyauthentication": "kbdinteractiveauthentication",
}
REPROCESS = "reprocess config"  # what sshd calls its file where it evaluates Match lines
SET = re.compile(r"debug3: (.+):(\d+) setting (\S+) (.*)")
INCLUDED = re.compile(r"debug2: (.+) line (\d+): including (.+)")
FOUND = re.compile("debug3: match (found|not found)")
LIST = re.compile('[,!"\\\\]')
BEGINNING = re.compile(rf"debug2: parse_server_config\w*: config {REPROCESS} ")


class Place(NamedTuple):
    """A line of the configuration."""

    path: str
    line: int

    def __str__(self) -> str:
        """Return `path:line`."""
        return f"{self.path}:{self.line}"


@dataclass
class Effective:
    """The settings for one user and origin; names in lower case.

    `places` has the lines that set each of them; `by_match` those of them that a Match block has.
    """

    values: dict[str, list[str]]
    places: dict[str, list[Place]] = field(default_factory=dict)
    by_match: dict[str, Match] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """Return a setting that has one value."""
        return (self.values.get(name) or [default])[0]

    def every(self, name: str) -> list[str]:
        """Return a setting that has several values, such as `allowusers`."""
        return self.values.get(name, [])

    def block(self, name: str) -> str:
        """Return the Match block that is the reason for a setting, "" if none is."""
        return str(self.by_match.get(name, ""))


class Sshd:
    """sshd's configuration, asked as often as necessary.

    Its methods raise ValueError with sshd's message where sshd does not start with it, OSError
    where there is no sshd, and subprocess.TimeoutExpired.
    """

    def __init__(self, config: str = CONFIG) -> None:
        self.config = config
        self._answers: dict[tuple[tuple[bool, ...] | str, Origin], Effective] = {}
        self._fitting: dict[tuple[str, tuple[str, ...], tuple[bool, ...], Origin], list[str]] = {}
        self._lines: dict[str, list[str]] = {}

    def ask(self, user: str, origin: Origin) -> Effective:
        """Return the settings for a user; "" stands for somebody who has no account."""
        groups = _groups(user) if self._asks_groups else []
        key = (traits(self.matches, user, groups) if user else "", origin)
        if key not in self._answers:
            self._answers[key] = self._ask(user, origin)
        return self._answers[key]

    @property
    def usual(self) -> Effective:
        """The settings for somebody without an account, from a public address."""
        return self.ask("", Origin(PUBLIC))

    @cached_property
    def matches(self) -> list[Match]:
        """The Match lines of all files."""
        return [match for path in self.files for match in matches_in(path, self._read(path))]

    @cached_property
    def _asks_groups(self) -> bool:
        return any("group" in match.patterns for match in self.matches)

    @cached_property
    def files(self) -> list[str]:
        """The configuration's file, and those that it includes."""
        return list(dict.fromkeys([self.config, *self._included]))

    @cached_property
    def origins(self) -> list[Origin]:
        """The origins for which settings may differ; at most matching.MAX_ORIGINS."""
        return self._origins[0]

    @property
    def has_all_origins(self) -> bool:
        """Return whether `origins` are all that Match lines could tell apart."""
        return self._origins[1]

    @cached_property
    def _origins(self) -> tuple[list[Origin], bool]:
        named = [
            value.rpartition("@")[2]
            for name in ("allowusers", "denyusers")
            for value in self._everywhere(name)
            if "@" in value
        ]
        return origins(self.matches, self.usual.every("port"), named)

    def _everywhere(self, name: str) -> list[str]:
        """Return all words of a setting in all files, whichever Match block has them."""
        start = re.compile(rf"\s*{name}(?:\s*=\s*|\s+)(.*)", re.IGNORECASE)
        lines = [start.fullmatch(line) for path in self.files for line in self._read(path)]
        return [word.strip('"') for line in lines if line for word in line[1].split()]

    @cached_property
    def _included(self) -> dict[str, Place]:
        """The files that are included, and the lines that include them."""
        found: dict[str, Place] = {}
        for line in self._run(_words("", Origin(PUBLIC)))[1].splitlines():
            if told := INCLUDED.fullmatch(line):
                found.setdefault(told[3], Place(self._path(told[1]), int(told[2])))
        return found

    def _ask(self, user: str, origin: Origin) -> Effective:
        if FORBIDDEN.search(user):
            raise ValueError(f"sshd -T cannot be asked for a user named {user!r}")
        words = _words(user, origin)
        if not user and any(OF_NOBODY in match.patterns for match in self.matches):
            words += ["-C", OF_NOBODY]
        return self._parse(*self._run(words))

    def fitting(self, user: str, origin: Origin, criterion: str, patterns: list[str]) -> list[str]:
        """Return which patterns of AllowUsers (`user`) or AllowGroups (`group`) fit a login.

        sshd(8) says it of a configuration that has a Match line for each: the same patterns. Users
        whose names the patterns do not tell apart share an answer.
        """
        names = [user] if criterion == "user" else _groups(user)
        parts = [one.rpartition("@")[0] if criterion == "user" and "@" in one else one
                 for one in patterns]  # fmt: skip
        alike = tuple(any(fits(name, part) for name in names) for part in parts)
        key = (criterion, tuple(patterns), alike, origin)
        if key not in self._fitting:
            self._fitting[key] = self._fit(user, origin, criterion, patterns)
        return self._fitting[key]

    def _fit(self, user: str, origin: Origin, criterion: str, patterns: list[str]) -> list[str]:
        asked = [(one, line) for one in patterns for line in _match_lines(criterion, one)]
        keys = [f"HostKey {path}" for path in self.usual.every("hostkey") if os.path.exists(path)]
        config = "\n".join([*keys, *(line for _, line in asked), ""])
        told = _run("/dev/stdin", _words(user, origin), config)[1]
        answers = FOUND.findall(told[told.rfind(REPROCESS) :])
        fit = [one for (one, _), answer in zip(asked, answers, strict=True) if answer == "found"]
        return list(dict.fromkeys(fit))

    def _run(self, words: list[str]) -> tuple[str, str]:
        return _run(self.config, words)

    def _parse(self, printed: str, told: str) -> Effective:
        values: dict[str, list[str]] = {}
        for line in printed.splitlines():
            name, _, value = line.partition(" ")
            values.setdefault(name.lower(), []).append(value.strip())
        found = Effective(values)
        in_match: dict[str, list[Place]] = {}
        places = found.places
        for line in told.splitlines():
            if BEGINNING.match(line):
                places = in_match
            elif said := SET.fullmatch(line):
                place = Place(self._path(said[1]), int(said[2]))
                name = said[3].lower()
                places.setdefault(ALIASES.get(name, name), []).append(place)
        for name, lines in in_match.items():
            found.places[name] = lines
            if match := self._match_of(lines[0]):
                found.by_match[name] = match
        return found

    def _match_of(self, place: Place) -> Match | None:
        """Return the Match block of a line; in an included file, maybe that of its Include."""
        for _ in self.files:
            here = [match for match in self.matches if match.path == place.path]
            before = [match for match in here if match.line < place.line]
            if before:
                return before[-1]
            if place.path not in self._included:
                return None
            place = self._included[place.path]
        return None

    def _path(self, told: str) -> str:
        return self.config if told == REPROCESS else told

    def _read(self, path: str) -> list[str]:
        if path not in self._lines:
            with open(path, encoding="utf-8", errors="replace") as file:
                self._lines[path] = file.read(MAX_SIZE).splitlines()
        return self._lines[path]

    def line(self, place: Place) -> str:
        """Return a line's text."""
        return self._read(place.path)[place.line - 1]


def _run(config: str, words: list[str], given: str = "") -> tuple[str, str]:
    """Return the settings, and what sshd says about how it came to them."""
    done = subprocess.run(  # noqa: S603 (an absolute path and a list)
        [SSHD, "-T", "-ddd", "-f", config, *words], capture_output=True, text=True, input=given,
        check=False, errors="replace", timeout=SECONDS,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    if done.returncode != 0:
        told = [line for line in done.stderr.splitlines() if not line.startswith("debug")]
        raise ValueError(" ".join(" ".join(told).split()) or f"exit status {done.returncode}")
    return done.stdout, done.stderr


def _match_lines(criterion: str, pattern: str) -> list[str]:
    """Return Match lines one of which applies where the pattern fits; none where none can.

    AllowUsers and its kin know neither lists nor negation, as Match does: no name fits `!bob`.
    """
    if LIST.search(pattern):
        return []
    name, at, host = pattern.rpartition("@")
    if criterion == "group" or not at:
        return [f'Match {criterion} "{pattern}"']
    return [f'Match User "{name}" {where} "{host}"' for where in ("Address", "Host")]


def _words(user: str, origin: Origin) -> list[str]:
    """Return the options that tell sshd of a login; it refuses a Match line without its value."""
    told = {
        "user": user, "addr": origin.address, "host": origin.host or origin.address,
        "laddr": origin.local_address, "lport": origin.local_port, "rdomain": origin.routing_domain,
    }  # fmt: skip
    return [word for name, value in told.items() for word in ("-C", f"{name}={value}")]


def _groups(user: str) -> list[str]:
    """Return the names of a user's groups as sshd has them; none without an account."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return []
    found = []
    for gid in os.getgrouplist(user, entry.pw_gid):
        try:
            found.append(grp.getgrgid(gid).gr_name)
        except KeyError:  # a group without a name: no pattern fits it
            continue
    return found
