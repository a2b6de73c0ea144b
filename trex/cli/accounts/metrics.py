"""The overview as a text file for node_exporter's textfile collector.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/; names as in
https://prometheus.io/docs/practices/naming/. There are no names of users in it: each would be a
time series of its own, and whoever reads the metrics need not know them.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.accounts.overview import (
    EXEMPT,
    EXPIRING,
    NO_SPARE,
    NOT_ENROLLED,
    UNKNOWN,
    UNUSABLE,
)
from trex.cli.errors import CommandError
from trex.openpgp.keylist import NEVER
from trex.system.rewriting import DIRECTORY

if TYPE_CHECKING:
    from trex.cli.accounts.overview import Overview

ORPHANS = ("record", "secret", "recovery codes", "number", "key file", "key")
MODE = 0o644  # node_exporter reads it as another account


def metrics(overview: Overview) -> str:
    """Return the metrics."""
    states = Counter(line.state for line in overview.lines)
    kinds = Counter(orphan.kind for orphan in overview.orphans)
    ends = [held.enrolment.until for line in overview.lines for held in line.held]
    first = min((end for end in ends if end and end != NEVER), default=None)
    told = [
        _gauge("accounts_enrolled", "Accounts that have a record, a secret or a number.",
               sum(bool(line.held) for line in overview.lines)),
        _gauge("accounts_not_enrolled", "Accounts that may log in and lack one.",
               states[NOT_ENROLLED]),
        _gauge("accounts_exempt", "Accounts that log in without Trex by intention.",
               states[EXEMPT]),
        _gauge("accounts_expiring", "Accounts with a key that ends soon.", states[EXPIRING]),
        _gauge("accounts_no_spare", "Accounts of which something cannot be used, not all.",
               states[NO_SPARE]),
        _gauge("accounts_unusable", "Accounts whose record refuses every login.",
               states[UNUSABLE]),
        _gauge("accounts_unknown", "Accounts that could not be checked.", states[UNKNOWN]),
        _family("orphans", "Records, secrets, numbers and keys that belong to no account.",
                {f'{{kind="{kind.replace(" ", "_")}"}}': kinds[kind] for kind in ORPHANS}),
        _gauge("problems", "What else could not be told: see trex list.", len(overview.problems)),
        _gauge("list_status", "Exit status of trex list, as a plugin of Nagios has it.",
               overview.status),
    ]  # fmt: skip
    if first is not None:
        text = "When the key ends that ends first, of those that can be used."
        told.append(_gauge("first_expiry_timestamp_seconds", text, int(first)))
    return "".join(told)


def _gauge(name: str, text: str, value: int) -> str:
    return _family(name, text, {"": value})


def _family(name: str, text: str, values: dict[str, int]) -> str:
    rows = "".join(f"trex_{name}{labels} {value}\n" for labels, value in values.items())
    return f"# HELP trex_{name} {text}\n# TYPE trex_{name} gauge\n{rows}"


def replace_file(path: str, content: str) -> None:
    """Replace a file in one step: node_exporter reads the old one or the new one.

    Its directory may be another account's, as in Debian's package: that account can have the file
    elsewhere, which is accepted, because nobody but root chooses its name and its content.
    Raises CommandError with nothing changed.
    """
    directory, name = os.path.split(os.path.abspath(path))
    made = f".{name}.{secrets.token_hex(4)}.new"  # node_exporter reads what ends in .prom
    try:
        place = os.open(directory, DIRECTORY)
    except OSError as error:
        hint = f"install -d {shlex.quote(directory)}"
        raise CommandError(f"{directory}: {error.strerror}", hint) from None
    try:
        _write(place, made, content)
        os.rename(made, name, src_dir_fd=place, dst_dir_fd=place)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", f"ls -ld {shlex.quote(path)}") from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(made, dir_fd=place)
        os.close(place)


def _write(place: int, name: str, content: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=place), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), MODE)
        os.fsync(file.fileno())
