"""The command as one file, trex.pyz: what script/pyz builds, with a real ssh and sshd."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.client import Client
    from tests.support.sandbox import Log

BARE = {"PATH": "/usr/bin:/bin"}  # no trex


def build(target: Path) -> Path:
    subprocess.run([sandbox.PROJECT / "script/pyz", target], check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def pyz(place: Path) -> Path:
    return build(place / "programs/trex.pyz")


def test_it_is_built_to_the_same_bytes(pyz: Path, place: Path) -> None:
    again = build(place / "again/trex.pyz")
    assert again.read_bytes() == pyz.read_bytes()
    assert os.access(pyz, os.X_OK)


def test_it_needs_no_library(pyz: Path) -> None:
    """Debian's click and gnupg are there, and are not taken."""
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import click, gnupg\n"
            "print(click.__file__, gnupg.__file__)")  # fmt: skip
    done = subprocess.run(["/usr/bin/python3", "-IS", "-c", code, pyz], capture_output=True,
                          text=True, check=True, env=BARE)  # fmt: skip
    assert all(path.startswith(f"{pyz}/") for path in done.stdout.split())
    for words in (["--version"], ["respond", "--help"], ["setup", "--help"], ["doctor", "--help"]):
        told = subprocess.run([pyz, *words], capture_output=True, text=True, check=True, env=BARE)
        assert told.stdout.startswith(("trex 0.", "Usage: trex.pyz ")), told.stderr


def test_it_logs_in(pyz: Path, name: str, laptop: Client, log: Log) -> None:
    """It is ssh's askpass program too, by a link of that name; the second time it is there."""
    for _ in range(2):
        done = laptop.run(str(pyz), "ssh", name, "id", "-un", environment=BARE)
        assert done.stdout == "alice\n", done.stderr
        assert log.trex("accepted: user=alice")
        log.clear()
    links = laptop.home / ".local/share/trex/bin"
    assert {link.name: link.resolve() for link in links.iterdir()} == {
        "trex-askpass": pyz, "trex-ssh": pyz,
    }  # fmt: skip


def test_a_link_to_an_older_file_is_renewed(pyz: Path, name: str, laptop: Client) -> None:
    links = laptop.home / ".local/share/trex/bin"
    laptop.account.write("#!/bin/sh\necho wrong\n", "old").chmod(0o755)
    laptop.account.run("mkdir", "-p", str(links))
    laptop.account.run("ln", "-sf", str(laptop.home / "old"), str(links / "trex-askpass"))
    done = laptop.run(str(pyz), "ssh", name, "id", "-un", environment=BARE)
    assert done.stdout == "alice\n", done.stderr
