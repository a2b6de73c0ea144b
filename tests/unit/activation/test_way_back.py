"""What systemd and cron are given, and that it is what they take."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from trex.cli.activation import arm

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

IDENTITY = "0123456789abcdef"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` also finds orders that contradict each other."""
    for unit, text in arm.unit_texts(IDENTITY, 300).items():
        (tmp_path / unit).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / unit for unit in (arm.SERVICE, arm.TIMER))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_way_back_at_a_start_of_the_host_comes_before_anybody_can_log_in() -> None:
    unit = arm.unit_texts(IDENTITY, 300)[arm.SERVICE]
    for line in ("DefaultDependencies=no", "Before=sysinit.target shutdown.target",
                 "WantedBy=sysinit.target", "Restart=on-failure"):  # fmt: skip
        assert f"{line}\n" in unit


def test_an_upgrade_meanwhile_does_not_take_the_program_away() -> None:
    path = "/usr/lib/trex-pam/0.1.0-x/trex/cli/activation/arm.py"
    code = (
        f"import sys; sys.path.insert(0, {sys.path[0]!r}); from trex.cli.activation import arm\n"
        f"arm.__file__ = {path!r}\nprint(arm.command_of('x')[4])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=arm.__file__.removesuffix("/trex/cli/activation/arm.py"))  # fmt: skip
    assert done.stdout.strip() == "/usr/lib/trex-pam/current/trex/cli/activation/back.py"


def test_the_way_back_needs_python_s_standard_library_alone() -> None:
    done = subprocess.run([*arm.command_of("--due", "none")], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_cron_is_shown_a_second_of_change_that_it_has_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may look between the making of the file and its renaming, within one second."""
    directory = tmp_path / "cron.d"
    directory.mkdir()
    seen = []

    def rename(made: str, path: str) -> None:
        seen.append(directory.stat().st_mtime)
        os.replace(made, path)

    monkeypatch.setattr(arm, "CRON", str(directory / "trex-activation"))
    monkeypatch.setattr(arm, "has_systemd", lambda: False)
    monkeypatch.setattr(arm, "_cron_runs", lambda: True)
    monkeypatch.setattr(arm, "_start_watching", lambda _: None)
    monkeypatch.setattr(os, "rename", rename)
    arm.arm("an-id", 300)
    assert int(directory.stat().st_mtime) > int(seen[0])
