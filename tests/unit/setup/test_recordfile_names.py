"""A record's file is replaced in one step; no file beside it has the name of an account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.accounts import own_account
from trex.cli.setup import recordfile
from trex.errors import UserUnknown
from trex.system.privilege import check_name
from trex.system.secretfile import create_secret, locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECORD = b"alice@example.org trust nosign\n"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of all new files and directories; pytest's own exists by now."""
    names: list[str] = []
    original, make = os.open, os.mkdir

    def note(path: str, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            names.append(os.path.basename(path))
        return original(path, flags, *rest, **named)

    def note_directory(path: str, *rest: Any, **named: Any) -> None:
        names.append(os.path.basename(path))
        make(path, *rest, **named)

    monkeypatch.setattr(os, "open", note)
    monkeypatch.setattr(os, "mkdir", note_directory)
    return names


def record(directory: Path) -> None:
    path = str(directory / "alice")
    recordfile.replace_record(path, RECORD, None, 0o600, os.getgid())
    recordfile.replace_record(path, RECORD * 2, RECORD, 0o600, os.getgid())
    recordfile.remove(path, RECORD * 2, 0o600, os.getgid())


def secret(directory: Path) -> None:
    me = own_account()
    create_secret(f"{directory}/alice", me, b"x")
    with locked(f"{directory}/alice", me) as file:
        file.replace(b"y")


@pytest.mark.parametrize("write", [record, secret], ids=["record", "secret"])
def test_in_a_directory_of_all_users_nothing_that_is_made_has_an_account_s_name(
    write: Callable[[Path], None], made: list[str], tmp_path: Path
) -> None:
    """Templates such as `/etc/trex/users/%u` make the name of an account the name of its file."""
    write(tmp_path)
    left = [path.name for path in tmp_path.iterdir()]
    assert made
    for name in {*made, *left} - {"alice"}:
        with pytest.raises(UserUnknown):
            check_name(name)
