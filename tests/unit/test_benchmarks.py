"""What `python3 -m benchmarks` writes, and where."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import camera, codes, report
from trex.page.process.drawing import QUIET_ZONE, encode

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize(("length", "modules"), [(385, 69), (970, 105)])
def test_the_code_is_as_small_as_it_can_be(length: int, modules: int) -> None:
    """By ISO/IEC 18004 versions 13 and 22 hold 425 and 1003 bytes, with the lowest correction."""
    assert len(encode(codes.message_of(length, 1))) == modules + 2 * QUIET_ZONE


def test_a_photograph_of_the_code_is_read() -> None:
    message = codes.message_of(385, 1)
    assert len(message) == 385
    shown = camera.show(encode(message), 490)
    photo = camera.photograph(shown, 500, 0.0, 1)
    name, read = next(iter(codes.readers().items()))
    assert name.startswith("zbar")
    assert read(photo).strip() == message
    assert photo.tobytes() == camera.photograph(shown, 500, 0.0, 1).tobytes()
    assert photo.tobytes() != camera.photograph(shown, 500, 0.0, 2).tobytes()
    assert read(camera.photograph(shown, 100, 2.0, 1)) == "", "too far away"
