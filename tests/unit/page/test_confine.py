"""What the page's process loses before it starts, and how its files are read."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from tests.support.forked import in_a_child
from trex.errors import PageUnavailable
from trex.page.start import read_pem
from trex.system.safefile import MAX_SIZE
from trex.system.servant import MAX_DESCRIPTORS, _confined

if TYPE_CHECKING:
    from pathlib import Path


def test_confinement() -> None:
    def confined() -> list[object]:
        os.setsid()
        lifeline, other_end = os.pipe()
        _confined(0)(lifeline)
        with open("/proc/self/status", encoding="ascii") as file:
            told = [line.split()[1] for line in file if line.startswith("NoNewPrivs:")]
        limits = [resource.getrlimit(limit) for limit in (
            resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE,
            resource.RLIMIT_DATA)]  # fmt: skip
        resource.setrlimit(resource.RLIMIT_FSIZE, limits[1])
        return [told, limits, os.get_blocking(lifeline), bool(other_end)]

    assert in_a_child(confined) == [
        ["1"],
        [(0, 0), (0, 0), (MAX_DESCRIPTORS, MAX_DESCRIPTORS), (256 << 20, 256 << 20)],
        False,
        True,
    ]
    assert MAX_DESCRIPTORS == 256


def test_who_is_alone_already_is_not_started() -> None:
    lifeline, other_end = os.pipe()
    os.close(other_end)
    child = os.fork()
    if child == 0:
        os.setsid()
        _confined(0)(lifeline)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    os.close(lifeline)


@pytest.mark.parametrize("size", [1, 17_000, MAX_SIZE])
def test_a_chain_of_certificates_is_read_whole(size: int, tmp_path: Path) -> None:
    """The C++ trex-pam read PEM files into 2,000 bytes."""
    path = tmp_path / "chain.pem"
    path.write_bytes(b"x" * size)
    path.chmod(0o640)
    content, mode = read_pem(str(path))
    assert len(content) == size
    assert mode & 0o777 == 0o640


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    large, fifo, empty = tmp_path / "large", tmp_path / "fifo", tmp_path / "empty"
    empty.touch()
    large.write_bytes(b"x" * (MAX_SIZE + 1))
    os.mkfifo(fifo)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(PageUnavailable, match="at most 64 KiB"):
        read_pem(str(large))
    for path in (fifo, tmp_path, "/dev/null", empty, "/proc/self/maps"):
        with pytest.raises(PageUnavailable, match="expected a regular file"):
            read_pem(str(path))
    assert len(os.listdir("/proc/self/fd")) == len(before)
