"""A program to start, and that nothing of it is left."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import TELL

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def program() -> Iterator[Path]:
    """Write a program where nobody can read it: other runs of pytest close its directories."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        path = Path(directory) / "program"
        path.write_text(TELL)
        path.chmod(0o755)
        yield path


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before  # of older garbage one may have gone
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
