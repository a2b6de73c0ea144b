"""What is looked for in gpg's home, which is a user's."""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from trex.errors import FileUnsafe, GpgFailed
from trex.keyring import DATABASE, KEYRING, PUBLIC, list_home
from trex.privilege import Account

if TYPE_CHECKING:
    from pathlib import Path

FILES, NAME = 4000, 200


def owner(home: Path) -> Account:
    return Account("owner", os.geteuid(), os.getegid(), str(home.parent), os.getgroups())


def test_only_names_that_matter_are_looked_at(tmp_path: Path) -> None:
    """600,000 files in a home made root's process grow by 131 MB."""
    for number in range(FILES):
        (tmp_path / f"{number:0{NAME}}").touch()
    (tmp_path / "pubring.kbx").touch(mode=0o600)
    list_home(str(tmp_path), owner(tmp_path))  # what is imported at the first time
    tracemalloc.start()
    try:
        assert list_home(str(tmp_path), owner(tmp_path)) == ["pubring.kbx"]
        assert tracemalloc.get_traced_memory()[1] < FILES * NAME // 8
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [*KEYRING, f"{PUBLIC}/{DATABASE}"])
def test_what_others_can_write_is_refused_whatever_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / name).chmod(0o666)
    with pytest.raises(FileUnsafe, match=name):
        list_home(str(tmp_path), owner(tmp_path))


def test_a_home_that_is_none_is_told(tmp_path: Path) -> None:
    assert list_home(str(tmp_path), owner(tmp_path)) == []
    with pytest.raises(GpgFailed, match="no keyring: No such file or directory"):
        list_home(str(tmp_path / "none"), owner(tmp_path))
