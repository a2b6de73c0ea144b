"""pytest-xdist's workers: no process of one is to be seen from another."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.sandbox import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

TEST = """\
import os, pathlib, subprocess, time
import pytest

PLACE = pathlib.Path({place!r})

@pytest.mark.parametrize("number", [0, 1])
def test_look_around(number):
    with subprocess.Popen(["sleep", "4242"]) as sleeper:
        assert pathlib.Path("/proc", str(sleeper.pid), "comm").read_text() == "sleep\\n"
        (PLACE / f"ready-{{number}}").touch()
        deadline = time.monotonic() + 60
        while not (PLACE / f"ready-{{1 - number}}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        lines = [path.read_text() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
        (PLACE / f"seen-{{number}}").write_text(str(lines.count("sleep\\0004242\\0")))
        while not (PLACE / f"seen-{{1 - number}}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sleeper.kill()

def test_an_orphan_leaves_no_zombie():
    script = "sleep 0 & echo $!"
    orphan = subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout.strip()
    deadline = time.monotonic() + 60
    while pathlib.Path("/proc", orphan).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's to make")
def test_a_worker_sees_its_own_processes_and_no_other_worker_s(tmp_path: Path) -> None:
    (tmp_path / "test_look.py").write_text(TEST.format(place=str(tmp_path)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "tests.conftest",
         "-p", "no:cacheprovider", f"--rootdir={tmp_path}", tmp_path / "test_look.py"],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    seen = [(tmp_path / f"seen-{number}").read_text() for number in (0, 1)]
    assert seen == ["1", "1"]
