"""What a shell proposes for an argument: accounts, PAM services, fixed values.

A file that cannot be read proposes nothing: a Tab never prints an error.
"""

from __future__ import annotations

import os
import pwd
import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

    Completer = Callable[[click.Context, click.Parameter, str], list[str]]

PAM_SERVICES = "/etc/pam.d"
VARIABLE = "_TREX_COMPLETE"  # by which click is told which shell asks
PLAIN = re.compile(r"[\w@%+=:,./\\-]*")


def beginning(values: Iterable[str], incomplete: str) -> list[str]:
    """Return those values that begin with what was typed, each once, sorted.

    bash puts one into the command line as it stands, and click's function has it split and expanded
    before. So it is given no name with a sign of the shell's, and a backslash twice.
    """
    found = sorted({value for value in values if value.startswith(incomplete)})
    if not os.environ.get(VARIABLE, "").startswith("bash"):
        return found
    plain = [value for value in found if PLAIN.fullmatch(value)]
    return [value.replace("\\", "\\\\") for value in plain]


def fixed(*values: str) -> Completer:
    """Return a completer for these values."""
    return lambda _context, _parameter, incomplete: beginning(values, incomplete)


def accounts(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete an account's name."""
    return beginning((entry.pw_name for entry in pwd.getpwall()), incomplete)


def services(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete a PAM service's name."""
    with suppress(OSError):
        return beginning(os.listdir(PAM_SERVICES), incomplete)
    return []
