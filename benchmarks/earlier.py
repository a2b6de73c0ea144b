"""Time to the prompt against an earlier commit: a login by key pays nothing for other methods."""

from __future__ import annotations

import statistics
import subprocess
from typing import TYPE_CHECKING

from benchmarks.report import spread
from tests.support import sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.host import Host
    from benchmarks.report import Report

BEFORE = "ad4f55e"  # the last commit that knew one method only
LIMIT = 1.03  # 0.7 ms: what two runs of the same code differ by on a noisy machine
USER = "cv25519"


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure in turns, report, and tell whether today's module is no slower."""
    module = host.place / "before"
    _install(BEFORE, module)
    line = f"auth required pam_python.so {module}/pam_trex.py web_host=localhost"
    sandbox.pam_service("bench-before", line)
    figures: dict[str, list[float]] = {"bench-before": [], "bench-trex": []}
    for number in range(rounds + 1):
        for service in figures if number % 2 else reversed(figures):
            took = host.ask(service, USER).numbers("prompt-us")[0] / 1000
            if number:
                figures[service].append(took)
    before, now = (statistics.median(values) for values in figures.values())
    names = (f"one method ({BEFORE})", "three methods")
    rows = [[name, spread(values)] for name, values in zip(names, figures.values(), strict=True)]
    report.table("Time to the prompt before and after there were three methods, in ms",
                 ["", "median (quartiles)"], rows)  # fmt: skip
    report.text(f"With three methods a login by key takes {now / before:.3f} of what it took with "
                f"one (at most {LIMIT}); it loads no module of the two others "
                "(`tests/system/login/test_load.py`).")  # fmt: skip
    return now / before <= LIMIT


def _install(commit: str, module: Path) -> None:
    """Install the module as it was; needs a clone that is not shallow."""
    module.mkdir(mode=0o755)
    command = ["git", "-C", str(sandbox.PROJECT), "archive", commit, "trex", "pam_trex.py"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    subprocess.run(["tar", "--extract", "--directory", module], input=archive, check=True)
    sandbox.compile_module(module)
