"""Records and secrets in a directory of root's whose account is gone."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from trex.cli.delegate import FILE_SECONDS, run_as
from trex.cli.directory import names_in
from trex.cli.doctor.finding import WARNING, Finding
from trex.cli.errors import CommandError
from trex.cli.location import ROOT, words_of
from trex.errors import TrexError, UserUnknown, one_line
from trex.login.method import find_servant
from trex.login.options import expand
from trex.recovery.notice import make_command
from trex.system.privilege import find_account

if TYPE_CHECKING:
    from trex.login.options import Options

# The argument that places the files.
TEMPLATES = {"openpgp": "auth_file", "totp": "secret", "recovery": "recovery_file"}
WHAT = {"openpgp": "a record", "totp": "a secret", "recovery": "recovery codes"}


def check_orphans(options: Options) -> list[Finding]:
    """Return a finding for each file of an account that there is not."""
    names = names_with_files(options)
    template = getattr(options, TEMPLATES[options.method]) if names else ""
    return [_orphan(name, template, options) for name in names if not _is_there(name)]


def names_with_files(options: Options) -> list[str]:
    """Return whose files are in the one directory that has them all, accounts or not.

    Empty where there is none, and without root's rights.
    """
    if os.geteuid() != 0 or options.method not in TEMPLATES:
        return []
    template = getattr(options, TEMPLATES[options.method])
    try:
        reader = find_servant("run_as", options.run_as) if options.run_as else ROOT
        names: list[str] = run_as(reader, lambda: names_in(template), FILE_SECONDS)
    except (CommandError, TrexError):  # the check of the line says so
        return []
    return names


def _orphan(name: str, template: str, options: Options) -> Finding:
    path = expand(template, user=name, home="/")
    return Finding(
        f"{'record' if options.method == 'openpgp' else options.method}-orphan", WARNING,
        f"{one_line(path)}: {WHAT[options.method]}, and there is no account {one_line(name)}",
        "It lets its owner in as the next account of this name, if that gets the same uid or the "
        "file says none. (With accounts from elsewhere: does that database answer?)",
        removal(name, path, options), name,
    )  # fmt: skip


def removal(name: str, path: str, options: Options) -> str:
    """Return the command that removes what an account that is gone has left at `path`."""
    if options.method == "openpgp" and options.run_as:
        return f"trex remove{words_of(options)} --user {shlex.quote(name)} --yes"
    if options.method == "recovery" and options.run_as:
        return make_command(options, name, "remove") + " --yes"
    return f"rm {shlex.quote(path)}"


def _is_there(name: str) -> bool:
    try:
        find_account(name)
    except UserUnknown:
        return False
    return True
