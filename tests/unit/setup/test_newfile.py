"""A new file with a secret: private, and removed if the run fails, without any other file."""

from __future__ import annotations

import os
import resource
import stat
from typing import TYPE_CHECKING, Any

import pytest

from trex.cli.setup.newfile import NewFile
from trex.cli.setup.qr import as_svg

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = as_svg("otpauth://totp/x?secret=JBSWY3DPEHPK3PXP")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def fail(path: Path) -> None:
    with NewFile(str(path), CONTENT):
        raise KeyboardInterrupt


def test_it_stays_where_all_is_well(tmp_path: Path) -> None:
    before, path = descriptors(), tmp_path / "phone.svg"
    with NewFile(str(path), CONTENT):
        pass
    assert b"<svg" in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert descriptors() == before


def test_it_goes_where_the_run_is_interrupted(tmp_path: Path) -> None:
    before = descriptors()
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "phone.svg")
    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


def test_it_goes_where_it_cannot_be_written(tmp_path: Path) -> None:
    before, limits = descriptors(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) - 1, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            fail(tmp_path / "phone.svg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


@pytest.mark.parametrize("kind", ["file", "link"])
def test_an_older_file_is_kept(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "phone.svg", tmp_path / "other"
    other.write_text("older")
    if kind == "file":
        path.write_text("older")
    else:
        path.symlink_to(other)
    with pytest.raises(FileExistsError):
        fail(path)
    assert path.read_text() == other.read_text() == "older"


def test_a_swapped_directory_costs_nobody_a_file(tmp_path: Path) -> None:
    """Root may run this in the directory of a user, who swaps it for one of root's meanwhile."""
    here, root_s = tmp_path / "here", tmp_path / "root's"
    here.mkdir()
    root_s.mkdir()
    (root_s / "phone.svg").write_text("root's")

    def swap_and_fail() -> None:
        with NewFile(f"{here}/phone.svg", CONTENT):
            here.rename(tmp_path / "aside")
            here.symlink_to(root_s)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swap_and_fail()
    assert (root_s / "phone.svg").read_text() == "root's"
    assert list((tmp_path / "aside").iterdir()) == []


def test_a_directory_that_is_swapped_before_gets_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, root_s, opened = tmp_path / "here", tmp_path / "root's", os.open
    here.mkdir()
    root_s.mkdir()

    def open_and_swap(path: str, *arguments: Any, **options: Any) -> int:
        descriptor = opened(path, *arguments, **options)
        if path == str(here):
            here.rename(tmp_path / "aside")
            here.symlink_to(root_s)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_swap)
    with NewFile(f"{here}/phone.svg", CONTENT):
        pass
    assert list(root_s.iterdir()) == []
    assert [path.name for path in (tmp_path / "aside").iterdir()] == ["phone.svg"]


def test_a_file_that_somebody_put_in_its_place_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "phone.svg"

    def replace_and_fail() -> None:
        with NewFile(str(path), CONTENT):
            path.unlink()
            path.write_text("another's")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_and_fail()
    assert path.read_text() == "another's"
