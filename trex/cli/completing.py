"""What a shell proposes for an argument: accounts, PAM services, fixed values.

A file that cannot be read proposes nothing: a Tab never prints an error.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

    Completer = Callable[[click.Context, click.Parameter, str], list[str]]

PAM_SERVICES = "/etc/pam.d"


def beginning(values: Iterable[str], incomplete: str) -> list[str]:
    """Return those values that begin with what was typed, each once, sorted."""
    return sorted({value for value in values if value.startswith(incomplete)})


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
