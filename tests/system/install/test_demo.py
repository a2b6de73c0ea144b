"""The demo, as a newcomer runs it, but in the sandbox."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "The right answer opened the door"),
        (("--web",), "The fingerprint is the one that the prompt shows."),
    ],
)
def test_the_demo_comes_to_its_end(options: tuple[str, ...], said: str, place: Path) -> None:
    done = subprocess.run(
        [PROJECT / "script/demo", *options], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=200, env={"PATH": "/usr/bin:/bin", "HOME": "/root"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert said in done.stdout + done.stderr
    assert "nothing is left" in done.stdout
