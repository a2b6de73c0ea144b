"""script/release: it begins only where everything is ready."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "7.8.9"
TODAY = date(2030, 1, 2).isoformat()
# Each file that has to say it: what is there, and what has to be.
EDITS = {
    "trex/__init__.py": [(r'__version__ = ".*"', f'__version__ = "{VERSION}"'),
                         (r'__date__ = "[^"]*"', f'__date__ = "{TODAY}"')],
    "CHANGELOG.md": [(r"## \[0.*", f"## [{VERSION}] - {TODAY}")],
    "debian/changelog": [(r"\A.*", f"trex-pam ({VERSION}) unstable; urgency=medium")],
    "SECURITY.md": [(r"\| 0\.1 .* \|", "| 7.8 | yes |")],
}  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout in which all is ready."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "--quiet", "--no-local",
                    "--upload-pack", "git -c safe.directory='*' upload-pack",
                    sandbox.PROJECT, clone], check=True)  # fmt: skip
    for name, edits in EDITS.items():
        path = clone / name
        text = path.read_text()
        for found, written in edits:
            text = re.sub(found, written, text, count=1)
        path.write_text(text)
    for key, value in {
        "user.name": "x",
        "user.email": "x@example.org",
        "user.signingkey": "A" * 40,
    }.items():
        git(clone, "config", key, value)
    commit(clone)
    return clone


def git(clone: Path, *words: str) -> None:
    subprocess.run(["git", "-C", clone, *words], check=True, capture_output=True)


def commit(clone: Path) -> None:
    git(clone, "commit", "--quiet", "--all", "--message", "x", "--no-gpg-sign")


def ready(clone: Path, version: str = VERSION) -> subprocess.CompletedProcess[str]:
    return subprocess.run([clone / "script/release", "--ready", version], check=False,
                          capture_output=True, text=True)  # fmt: skip


def test_all_is_ready(checkout: Path) -> None:
    done = ready(checkout)
    assert (done.returncode, done.stdout) == (0, f"Ready: {VERSION}\n"), done.stderr


@pytest.mark.parametrize("name", EDITS)
def test_each_file_has_to_say_it(checkout: Path, name: str) -> None:
    git(checkout, "checkout", "--quiet", "HEAD~1", name)
    commit(checkout)
    done = ready(checkout)
    assert done.returncode == 1
    assert f"    {name}: " in done.stderr


def test_what_is_not_committed_is_in_the_way(checkout: Path) -> None:
    (checkout / "new").write_text("x")
    assert "git status" in ready(checkout).stderr


def test_no_version_is_made_twice(checkout: Path) -> None:
    git(checkout, "tag", "--no-sign", f"v{VERSION}")
    assert f"v{VERSION} is tagged already" in ready(checkout).stderr


def test_somebody_has_to_sign(checkout: Path) -> None:
    git(checkout, "config", "--unset", "user.signingkey")
    assert "git config user.signingkey" in ready(checkout).stderr


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0-rc1", ""])
def test_a_version_has_three_numbers(checkout: Path, version: str) -> None:
    done = ready(checkout, version)
    assert (done.returncode, done.stdout) == (1, "")


def test_wheel_and_sources_are_built_where_the_rest_is(checkout: Path) -> None:
    """setuptools changes `sys.argv`."""
    script = (checkout / "script/release").read_text()
    [program] = re.findall(r"<<'END'\n(.*?)^END$", script, re.DOTALL | re.MULTILINE)
    into = checkout / "dist/here"
    into.mkdir(parents=True)
    subprocess.run(["/usr/bin/python3", "-", "dist/here"], input=program, text=True, cwd=checkout,
                   check=True, capture_output=True)  # fmt: skip
    assert sorted(path.suffix for path in into.iterdir()) == [".gz", ".whl"]
