"""Screen lockers: they run as their user, and cannot become the account of central mode."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.doctor import stack as pam
from trex.cli.doctor.doors import asked_by
from trex.cli.doctor.finding import ERROR, Finding
from trex.cli.doctor.programs import BLIND
from trex.cli.doctor.remedy import instead_of_common, line_of, set_line
from trex.errors import OptionError
from trex.login.options import parse_options

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule
    from trex.login.options import Options

# PAM services of lockers that are not set-user-ID and have no helper of root's.
LOCKERS = (
    "i3lock", "swaylock", "waylock", "gtklock", "hyprlock", "xscreensaver", "xlock",
    "xfce4-screensaver", "mate-screensaver", "cinnamon-screensaver", "gnome-screensaver",
)  # fmt: skip


def check_lockers(rule: Rule, services: list[str]) -> list[Finding]:
    """Return the lockers among the services of one of Trex's lines that it cannot unlock."""
    asked = asked_by(rule)
    with suppress(OptionError):
        options = parse_options(asked.arguments if asked else [])
        if options.run_as or options.method == "sms":
            return [_refused(rule, name, options) for name in services if name in LOCKERS]
    return []


def _refused(rule: Rule, service: str, options: Options) -> Finding:
    needs = f"run_as={options.run_as}" if options.run_as else "method=sms"
    what = f"{rule.where}: {service} asks Trex with {needs}"
    why = "A screen locker runs as its user, not as root: nobody can unlock the screen."
    line = line_of(rule, ["method=totp"] if service in BLIND else [])
    own = os.path.join(pam.DIRECTORIES[0], service)
    fix = set_line(rule, line) if rule.path == own else instead_of_common(own, line)
    fix += "  # then a record, or a secret, at home"
    return Finding("locker-central", ERROR, what, why, fix)
