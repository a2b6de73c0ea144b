"""The SSH key that sshd asks for before Trex: whether there is one that it accepts."""

from __future__ import annotations

import os
import shlex
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import FILE_SECONDS, hint_for, run_as
from trex.cli.doctor.arrival import NONE
from trex.cli.doctor.module import root_alone
from trex.cli.doctor.remedy import by_hand
from trex.cli.errors import CommandError
from trex.cli.location import ROOT
from trex.errors import FileUnsafe, TrexError, one_line
from trex.system.privilege import find_account
from trex.system.safefile import check_writers

if TYPE_CHECKING:
    from trex.cli.doctor.arrival import Arrival
    from trex.cli.doctor.finding import Finding
    from trex.system.privilege import Account

REFUSED = "sshd asks for an SSH key before Trex, and accepts none of this user's."
MAX_SIZE = 1 << 20


def check_keys(login: Arrival) -> list[Finding]:
    """Return why sshd would accept no key of this user's; nothing where a program decides that."""
    effective = login.effective
    if finding := _check_revoked(login):
        return [finding]
    written = effective.get("authorizedkeysfile").split()
    paths = tuple(login.expanded(one) for one in written if one != NONE)
    told = _look(login.user, paths, is_strict=effective.get("strictmodes") != "no")
    if told["has_key"] or effective.get("trustedusercakeys", NONE) != NONE:  # a certificate may do
        return []
    if effective.get("authorizedkeyscommand", NONE) != NONE:
        return _check_command(login)
    if told["unsafe"]:
        return [login.finding("key-unsafe", told["unsafe"], REFUSED, told["fix"])]
    what = f"no SSH key in {' or '.join(map(one_line, paths)) or 'any file'}"
    return [login.finding("key", what, REFUSED, _bring_key(login, paths))]


@cache
def _look(user: str, paths: tuple[str, ...], *, is_strict: bool) -> dict[str, Any]:
    """Look for a key as the user, as sshd does."""
    try:
        account = find_account(user)
        told: dict[str, Any] = run_as(
            account, partial(_read_keys, paths, account, is_strict), FILE_SECONDS
        )
    except (CommandError, TrexError):  # the check of the record reports it
        return {"has_key": True}
    return told


def _bring_key(login: Arrival, paths: tuple[str, ...]) -> str:
    """Return how to append a key as the user, who might have put a link there."""
    if not paths:
        return by_hand(f"in {login.sshd.config}: AuthorizedKeysFile .ssh/authorized_keys")
    directory, path = shlex.quote(os.path.dirname(paths[0])), shlex.quote(paths[0])
    work = shlex.quote(f"umask 077; mkdir -p {directory}; cat >> {path}")
    return f"runuser -u {login.name} -- sh -c {work} < FILE  # with the key that the user sends"


def _read_keys(paths: tuple[str, ...], account: Account, is_strict: bool) -> dict[str, Any]:  # noqa: FBT001
    """As the user: return whether sshd would read a key here, else the first reason against it."""
    unsafe, fix = "", ""
    for path in paths:
        try:
            with open(path, "rb") as file:
                lines = [line.strip() for line in file.read(MAX_SIZE).splitlines()]
            if not any(line and not line.startswith(b"#") for line in lines):
                continue
            if is_strict:
                check_writers(path, account)
        except FileUnsafe as error:
            unsafe, fix = unsafe or str(error), fix or hint_for(error)
        except OSError:
            continue
        else:
            return {"has_key": True}
    return {"has_key": False, "unsafe": unsafe, "fix": fix}


def _check_revoked(login: Arrival) -> Finding | None:
    path = login.effective.get("revokedkeys", NONE)
    if path == NONE or os.path.isfile(path):
        return None
    what = f"RevokedKeys {one_line(path)}: no such file{login.by('revokedkeys')}"
    why = "Then sshd takes every SSH key for revoked. An empty file revokes none: restore the list."
    return login.finding("revoked", what, why, f"touch {shlex.quote(path)}")


def _check_command(login: Arrival) -> list[Finding]:
    """Return why sshd would not run AuthorizedKeysCommand."""
    path = login.effective.get("authorizedkeyscommand").split()[0]
    try:
        check_writers(path, ROOT)
    except FileUnsafe as error:
        what = f"AuthorizedKeysCommand {error}"
        return [login.finding("keys-command", what, REFUSED, root_alone(error.path))]
    except OSError as error:
        what = f"AuthorizedKeysCommand {one_line(path)}: {error.strerror}"
        fix = by_hand(f"put the program there, or take the line out of {login.sshd.config}")
        return [login.finding("keys-command", what, REFUSED, fix)]
    return []
