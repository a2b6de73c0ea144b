"""script/install on hosts with habits of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.sandbox import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def checkout(place: Path) -> Iterator[Path]:
    """A checkout where nobody has one, and nobody but root may read it."""
    path = place / "a checkout's place"
    shutil.copytree(PROJECT, path, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__"))
    subprocess.run(["chmod", "-R", "go=", path], check=True)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("searched", ["", ".", ".:/usr"])
def test_an_odd_checkout_and_an_exported_cdpath(checkout: Path, place: Path, searched: str) -> None:
    """`cd` prints what it has found along CDPATH."""
    tree = place / "a tree"
    done = subprocess.run(
        ["script/install"], cwd=checkout, umask=0o077, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "DESTDIR": str(tree), "CDPATH": searched},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = [path for path in tree.rglob("*") if not path.is_symlink()]
    assert any(path.name == "pam.py" for path in made)
    assert {path.stat().st_mode & 0o066 for path in made} == {0o044}
    shutil.rmtree(tree)
