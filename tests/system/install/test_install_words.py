"""script/install on hosts with habits of their own, and whether what it says works as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path("/etc/ssh/sshd_config")


@pytest.fixture
def checkout(place: Path) -> Iterator[Path]:
    """A checkout where nobody has one, and nobody but root may read it."""
    path = place / "a checkout's place"
    shutil.copytree(
        PROJECT, path, ignore=shutil.ignore_patterns(".git", ".venv", "build", "__pycache__")
    )
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


@pytest.fixture
def said() -> str:
    """What script/install prints about configuration."""
    script = (PROJECT / "script/install").read_text(encoding="utf-8")
    function = script.partition("\nexplain_configuration() {\n")[2]
    return function.partition("  cat <<END\n")[2].partition("\nEND\n")[0]


def test_what_it_says_of_sshd_is_what_sshd_then_has(place: Path, said: str) -> None:
    """Debian's file says KbdInteractiveAuthentication no, and the first value counts."""
    kept = FILE.read_bytes()
    assert b"\nKbdInteractiveAuthentication no" in kept
    found = re.search(r"^(/etc/ssh/[\w./-]+)[^\n]*\n\n(.*)", said, re.MULTILINE | re.DOTALL)
    assert found
    lines = re.findall(r"^    ([A-Z]\w+ \S+)$", found[2], re.MULTILINE)
    file = Path(found[1])
    try:
        with file.open("a", encoding="utf-8") as config:
            config.write("".join(f"{line}\n" for line in lines))
        shown = subprocess.run(["/usr/sbin/sshd", "-T"], capture_output=True, text=True, check=True)
    finally:
        FILE.write_bytes(kept)
        if file != FILE:
            file.unlink(missing_ok=True)
    assert len(lines) == 7
    assert {line.lower() for line in lines} <= set(shown.stdout.lower().splitlines())
