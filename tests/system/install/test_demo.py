"""The demo, as a newcomer runs it, but in the sandbox."""

from __future__ import annotations

import glob
import subprocess
from pathlib import Path

import pytest

from tests.support.installation import remove_compiler, remove_pam_python
from tests.support.sandbox import PROJECT


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "The right answer opened the door"),
        (("--native",), "      auth     required  /usr/lib/trex-demo-"),
        (("--native", "--web"), "The fingerprint is the one that the prompt shows."),
        (("--web",), "The fingerprint is the one that the prompt shows."),
    ],
)
def test_the_demo_comes_to_its_end(
    options: tuple[str, ...], said: str, usr: None, place: Path
) -> None:
    if "--native" in options:
        remove_pam_python()
    told = demo(*options)
    assert said in told
    assert "gpg is not confined" not in told


def test_without_a_compiler_it_comes_to_its_end_and_says_that_gpg_is_not_confined(
    usr: None, place: Path
) -> None:
    remove_compiler()
    told = demo()
    assert (
        "   gpg is not confined here, because that takes gcc and libc6-dev (docs/security.md)."
        in told
    )
    assert "The right answer opened the door" in told


def demo(*options: str) -> str:
    """Run it, which leaves nothing; return what it says."""
    done = subprocess.run(
        [PROJECT / "script/demo", *options], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=200, env={"PATH": "/usr/bin:/bin", "HOME": "/root"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "nothing is left" in done.stdout
    assert not glob.glob("/usr/lib/trex-demo-*")
    return done.stdout + done.stderr
