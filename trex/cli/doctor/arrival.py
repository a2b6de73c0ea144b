"""One user's login as sshd has it: who, from where, and with which settings."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from trex.cli.doctor.finding import ERROR, Finding
from trex.cli.doctor.remedy import by_hand, edit
from trex.cli.doctor.sshdfile import reloading

if TYPE_CHECKING:
    import pwd

    from trex.cli.doctor.effective import Effective, Sshd
    from trex.cli.doctor.matching import Origin

NONE = "none"


class Arrival(NamedTuple):
    """One user from one origin, with sshd's settings for both."""

    sshd: Sshd
    entry: pwd.struct_passwd
    origin: Origin
    effective: Effective

    @property
    def user(self) -> str:
        """The user's name."""
        return self.entry.pw_name

    @property
    def name(self) -> str:
        """The user's name, for a shell."""
        return shlex.quote(self.user)

    def finding(self, check: str, what: str, why: str, fix: str) -> Finding:
        """Return an error about this user."""
        return Finding(f"sshd-{check}", ERROR, f"{self.user}: {what}", why, fix, self.user)

    def by(self, name: str) -> str:
        """Return which Match block has set a setting, as the end of a sentence."""
        block = self.effective.block(name)
        return f", by {block}" if block else ""

    def expanded(self, written: str) -> str:
        """Replace tokens; a relative path begins at the home (sshd_config(5), TOKENS)."""
        entry = self.entry
        values = {"%": "%", "h": entry.pw_dir, "u": entry.pw_name, "U": str(entry.pw_uid)}
        path = re.sub("%([%huU])", lambda token: values[token[1]], written)
        return os.path.join(entry.pw_dir, path)


def escaped(text: str) -> str:
    """Escape what sed(1) would not take literally in `s/.../text/`."""
    return re.sub(r"[/&\\]", r"\\\g<0>", text)


def in_pattern(text: str) -> str:
    """Escape what is no literal in a pattern of `sed -E`."""
    return re.sub(r"[][.*^$+?(){}|/\\]", r"\\\g<0>", text)


def set_at(effective: Effective, name: str, line: str, config: str) -> str:
    """Return the command that replaces the line which has set `name`."""
    places = effective.places.get(name, [])
    if not places:
        return by_hand(f"in {config}: {line}")
    return "; ".join([edit(places[0].path, places[0].line, f"  {line}"), *reloading()])
