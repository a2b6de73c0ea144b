"""File systems over others in the sandbox, for as long as a test needs them."""

from __future__ import annotations

import errno
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.installed import LOWER
from tests.support.sandbox import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = Path("/usr/lib/python3/dist-packages")


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """Attach a file system over `place`, with the options of mount(8)."""
    subprocess.run(["mount", *options, str(place)], check=True)
    try:
        yield
    finally:
        _detach(place)


@contextmanager
def full(place: Path, owner: int) -> Iterator[None]:
    """Attach a file system without room for a byte; empty files can still be made in it."""
    with mounted(place, "-t", "tmpfs", "-o", f"size=64k,mode=700,uid={owner}", "trex-full"):
        with suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
            while True:  # until there is no space left on the device
                filler.write(bytes(4096))
        yield


@contextmanager
def overlaid(*directories: Path) -> Iterator[None]:
    """Let directories of the system's be written to without a trace."""
    layers = PLACE / "layers"
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, layers)
        for directory in directories:
            upper, work = (layers / directory.name / layer for layer in ("upper", "work"))
            upper.mkdir(parents=True)
            work.mkdir()
            lower = LOWER.get(directory, directory)
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            subprocess.run(["mount", "-t", "overlay", "trex", "-o", options, directory], check=True)
            undo.callback(_detach, directory)
        yield


def remove_group(group: Path) -> None:
    """Remove a cgroup: the kernel takes an ended process out of it after all else, even /proc."""
    deadline = time.monotonic() + 30
    while True:
        try:
            group.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _detach(directory: Path) -> None:
    """Unmount, though programs that run from there may keep it busy."""
    subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def without_package(name: str) -> Iterator[None]:
    """Empty the directory of a package of Debian's: it is broken, and pip's does not count."""
    empty = PLACE / f"no-{name}"
    empty.mkdir()
    try:
        with mounted(PACKAGES / name, "--bind", str(empty)):
            yield
    finally:
        empty.rmdir()
