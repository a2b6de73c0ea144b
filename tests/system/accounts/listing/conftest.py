"""A host whose services name Trex, and nothing of the machine's own accounts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFS = Path("/etc/login.defs")


@pytest.fixture(autouse=True)
def made_here(place: Path) -> Iterator[None]:
    """Have people's uids begin behind those of the machine, whose accounts are copied to /etc."""
    earlier = {path: path.read_bytes() for path in sandbox.PAM_SERVICES.glob("trex-*")}
    for path in earlier:  # services that other tests of this run share
        path.unlink()
    kept = DEFS.read_text()
    DEFS.write_text(re.sub(r"^UID_MIN.*$", "UID_MIN 30000", kept, flags=re.MULTILINE))
    yield
    DEFS.write_text(kept)
    for path, content in earlier.items():
        path.write_bytes(content)


@pytest.fixture
def journal() -> Iterator[Journal]:
    machine = Path("/etc/machine-id")
    kept = machine.read_bytes() if machine.exists() else None
    machine.write_text(f"{'0123456789abcdef' * 2}\n")
    made = Journal()
    yield made
    made.close()
    machine.unlink() if kept is None else machine.write_bytes(kept)
