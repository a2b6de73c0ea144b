"""What `python3 -m benchmarks` writes, and where."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks import report

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from matplotlib.axes import Axes


def test_without_write_the_documents_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plot of this run beside the tables of another would be wrong."""
    monkeypatch.setattr(report, "DOCS", tmp_path)
    drawn: list[Axes] = []
    report.Report().picture("prompt", "Time to the prompt", drawn.append)
    assert not drawn
    assert not list(tmp_path.iterdir())


def test_measuring_needs_no_library_for_plots() -> None:
    code = "import sys, benchmarks.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-B", "-c", code], check=False).returncode == 0
