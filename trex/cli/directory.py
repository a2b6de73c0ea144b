"""The names of which there is a file, where an argument such as `auth_file=` places them."""

from __future__ import annotations

import os

from trex.errors import UserUnknown
from trex.login.options import expand
from trex.system.privilege import check_name, native, readable

USER = "\0"  # for %u in a template that is taken apart


def names_in(template: str) -> list[str]:
    """Return the names, of accounts or of some that are gone, that have a file there.

    Empty where the files are in the users' homes, or each in a directory of its own. Raises OSError
    for a directory that cannot be listed, except a missing one.
    """
    directory, before, after = _parts(template)
    if not directory:
        return []
    try:
        files = [readable(name) for name in os.listdir(native(directory))]
    except FileNotFoundError:
        return []
    around = len(before) + len(after)
    names = [
        file[len(before) : len(file) - len(after)]
        for file in files
        if len(file) > around and file.startswith(before) and file.endswith(after)
    ]
    return sorted(filter(is_account_name, names))


def is_account_name(text: str) -> bool:
    """Tell whether an account may have this name; no backup and no unfinished file has one."""
    try:
        check_name(text)
    except UserUnknown:
        return False
    return True


def _parts(template: str) -> tuple[str, str, str]:
    """Return the directory, and what is before and after the name in a file's; "" for no such."""
    if "%h" in template.replace("%%", ""):
        return "", "", ""
    directory, name = os.path.split(expand(template, user=USER, home="/"))
    before, user, after = name.partition(USER)
    if USER in directory or not user or USER in after:
        return "", "", ""
    return directory, before, after
