"""What systemd and cron are given, and that it is what they take."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from trex.cli import installed
from trex.cli.activation import arm
from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

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


def test_nothing_is_changed_where_the_way_back_would_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd would start it minutes later: from trex.pyz, which is no directory, it cannot."""
    arm.check_way_back()
    (tmp_path / "trex.pyz").touch()
    for attribute, value, why in (
        ("__file__", f"{tmp_path}/trex.pyz/trex/cli/activation/arm.py", "no such file: /"),
        ("PYTHON", "/nowhere/python3", "No such file or directory"),
        ("PYTHON", "/bin/false", "exit status 1"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(arm, attribute, value)
            with pytest.raises(CommandError) as error:
                arm.check_way_back()
        assert str(error.value).startswith("the way back does not start")
        assert why in str(error.value)
        assert "nothing was changed" in error.value.hint


def test_from_one_file_the_installed_command_is_named_or_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpam-trex has no command: to install that again would change nothing."""
    monkeypatch.setattr(arm, "__file__", f"{tmp_path}/trex.pyz/trex/cli/activation/arm.py")
    command = tmp_path / "command"
    monkeypatch.setattr(arm, "COMMAND", str(command))
    monkeypatch.setattr(installed, "PACKAGED", str(tmp_path))
    assert (
        "install it on this host: apt install --reinstall trex  # from no repository: " in refusal()
    )
    assert "./trex_VERSION.deb" in refusal()
    monkeypatch.setattr(installed, "PACKAGED", str(tmp_path / "none"))
    assert refusal().endswith("install it on this host: sudo script/install")
    command.touch()
    assert refusal() == f"nothing was changed; use the installed command: {command}"
    monkeypatch.undo()
    monkeypatch.setattr(arm, "PYTHON", "/bin/false")
    assert "install it on this host" in refusal(), "what is broken is perhaps that one"


def refusal() -> str:
    """Return the hint of a refusal."""
    with pytest.raises(CommandError) as error:
        arm.check_way_back()
    return error.value.hint


def test_a_path_that_systemd_or_cron_would_read_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a b", "50%", "$HOME"):
        shutil.copytree(
            arm.__file__.removesuffix("/cli/activation/arm.py"), tmp_path / name / "trex"
        )
        monkeypatch.setattr(arm, "__file__", f"{tmp_path}/{name}/trex/cli/activation/arm.py")
        with pytest.raises(CommandError, match="expected a path of letters"):
            arm.check_way_back()


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
