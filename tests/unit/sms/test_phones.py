"""The map of users to phones, at its maximum size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from trex.errors import FileUnsafe
from trex.sms.phones import MAX_MAP, numbers_from_map

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the map is root's")


@pytest.fixture
def phones(tmp_path: Path) -> Path:
    path = tmp_path / "phones"
    path.touch(mode=0o600)
    return path


def test_a_map_of_many_thousand_users(phones: Path) -> None:
    """It had the limit of a record, 64 KiB: one more user would have refused every login."""
    lines = (f"user{number:06} +4930{number:08}\n" for number in range(100_000))
    phones.write_text("".join(lines))
    assert numbers_from_map(str(phones), "user099999", 1001) == ["+493000099999"]


def test_there_is_a_limit(phones: Path) -> None:
    phones.write_bytes(b"#" * MAX_MAP)
    with phones.open("ab") as file:
        file.write(b"#")
    with pytest.raises(FileUnsafe, match="expected at most 4096 KiB"):
        numbers_from_map(str(phones), "bob", 1001)
