"""pytest-xdist's workers: no process of one is to be seen from another."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

TEST = """\
import os, pathlib, subprocess, time
import pytest

PLACE = pathlib.Path({place!r})

def wait(for_what):
    deadline = time.monotonic() + 60
    while not for_what():
        assert time.monotonic() < deadline
        time.sleep(0.01)

@pytest.mark.parametrize("number", [0, 1])
def test_look_around(number):
    with subprocess.Popen(["sleep", "4242"]) as sleeper:
        try:
            # exec(2) closes Popen's pipe before it sets the name.
            name = pathlib.Path("/proc", str(sleeper.pid), "cmdline")
            wait(lambda: name.read_text() == "sleep\\0004242\\0")
            (PLACE / f"ready-{{number}}").touch()
            wait((PLACE / f"ready-{{1 - number}}").exists)
            lines = [path.read_text() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
            (PLACE / f"seen-{{number}}").write_text(str(lines.count("sleep\\0004242\\0")))
            wait((PLACE / f"seen-{{1 - number}}").exists)
        finally:
            sleeper.kill()

def test_an_orphan_leaves_no_zombie():
    script = "sleep 0 & echo $!"
    orphan = subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout.strip()
    wait(lambda: not pathlib.Path("/proc", orphan).exists())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's to make")
def test_a_worker_sees_its_own_processes_and_no_other_worker_s(tmp_path: Path) -> None:
    (tmp_path / "test_look.py").write_text(TEST.format(place=str(tmp_path)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "tests.conftest",
         "-p", "no:cacheprovider", f"--rootdir={tmp_path}", tmp_path / "test_look.py"],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    seen = [(tmp_path / f"seen-{number}").read_text() for number in (0, 1)]
    assert seen == ["1", "1"]


def test_a_worker_that_runs_its_tests_in_another_thread_ends() -> None:
    code = (
        "import threading, types; from tests.conftest import pytest_configure as configure\n"
        "worker = types.SimpleNamespace(workerinput={})\n"
        "configure(worker)\n"
        "threading.Thread(target=configure, args=[worker]).start()\n"
        "threading.Event().wait(200)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, timeout=120, check=False)
    assert done.returncode == 1
