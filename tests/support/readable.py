"""A copy of the package that every account can read, for programs that run without root's rights."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trex

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def readable_package() -> Iterator[Path]:
    """Return the directory of a copy of `trex`; it is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="trex-readable-") as place:
        copy = Path(place) / "trex"
        source = Path(next(iter(trex.__path__)))
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [Path(place), copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield copy
