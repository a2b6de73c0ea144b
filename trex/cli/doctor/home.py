"""`gnupg_home=`: whose it is, and who may read it.

Where others can write it, the login itself refuses (`trex.system.safefile`).
"""

from __future__ import annotations

import os
import shlex
import stat
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import as_user
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.openpgp.keyring import PRIVATE
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location

OTHERS = 0o077
READ_BY_OTHERS = "Others can read who is enrolled, and with which addresses."
SECRET = "Others can read the key that signs challenges, and sign in this host's name."  # noqa: S105


def examine_home(path: str) -> dict[str, Any]:
    """Return what a directory is to the account that runs this; {} where there is none."""
    try:
        status = os.stat(path)
    except OSError:  # there is none, or its parent cannot be searched: other checks say so
        return {}
    secret = os.path.join(path, PRIVATE)
    return {
        "uid": status.st_uid,
        "mode": stat.S_IMODE(status.st_mode),
        "usable": os.access(path, os.R_OK | os.X_OK),
        "open": [name for name in _listed(secret) if _is_open(os.path.join(secret, name))],
    }


def check_keyring_home(location: Location, told: dict[str, Any]) -> list[Finding]:
    """Return what is wrong with what `examine_home` has told as the reader."""
    if not told:
        return []
    path = readable(location.gnupg_home)
    name, quoted, subject = location.reader.name, shlex.quote(path), location.user.name
    if not told["usable"]:
        what = f"{path}: expected a directory that {name} can read, found owner uid {told['uid']}, "
        what += f"mode {told['mode']:04o}"
        why = "gpg finds no key in it: every login that needs one is refused."
        fix = f"chown -hR {shlex.quote(name)}: {quoted}; {as_user(name, f'chmod 700 {quoted}')}"
        return [Finding("gnupg-home", ERROR, what, why, fix, subject)]
    owner = "root" if told["uid"] == 0 else name
    findings = []
    if told["open"]:
        what = f"{path}/{PRIVATE}: expected mode 0600, found a secret key that others can read"
        fix = as_user(owner, f"chmod -R go= {shlex.quote(f'{path}/{PRIVATE}')}")
        findings.append(Finding("gnupg-home", ERROR, what, SECRET, fix, subject))
    if told["mode"] & OTHERS and told["uid"] == location.reader.uid:
        what = f"{path}: expected mode 0700, found {told['mode']:04o}"
        fix = as_user(owner, f"chmod 700 {quoted}")
        findings.append(Finding("gnupg-home", WARNING, what, READ_BY_OTHERS, fix, subject))
    return findings


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory) if os.stat(directory).st_mode & OTHERS else []
    except OSError:
        return []


def _is_open(path: str) -> bool:
    try:
        return bool(os.lstat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False
