"""The output of time services: recorded from systemd-timesyncd, and odd cases of chrony's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trex.cli.doctor import ntp
from trex.cli.doctor.ntp import Unsure, ask_chrony, ask_timesyncd, read_status, read_tracking

if TYPE_CHECKING:
    from pathlib import Path

# systemd 252, `timedatectl timesync-status`: once a server has answered, and before.
STATUS = """\
       Server: 192.0.2.1 (0.debian.pool.ntp.org)
Poll interval: 34min 8s (min: 32s; max 34min 8s)
         Leap: normal
      Version: 4
      Stratum: 2
    Reference: 11FD227B
    Precision: 1us (-25)
Root distance: 389us (max: 5s)
       Offset: {}
        Delay: 25.617ms
       Jitter: 109.7ms
 Packet count: 8
    Frequency: -23.152ppm
"""
SILENT = """\
       Server: 192.0.2.1 (0.debian.pool.ntp.org)
Poll interval: 0 (min: 32s; max 34min 8s)
 Packet count: 0
"""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("+1.027ms", 0.001027),
        ("-119.834ms", -0.119834),
        ("+873us", 0.000873),
        ("0", 0.0),
        ("+0", 0.0),
        ("-1min 2.300s", -62.3),
        ("+1h 3min 20s", 3800.0),
        ("+1d 2h", 93600.0),
    ],
)
def test_timesyncd_s_offsets(text: str, seconds: float) -> None:
    assert read_status(STATUS.format(text)) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["+1.027", "soon", "1ms later", "+1parsec", "+", "--1s"])
def test_another_form_is_no_offset(text: str) -> None:
    with pytest.raises(Unsure, match="unknown format"):
        read_status(STATUS.format(text))


def test_no_server_has_answered() -> None:
    with pytest.raises(Unsure, match="no server has answered"):
        read_status(SILENT)


# chrony 4.3, `chronyc -n -c tracking`.
TRACKING = (
    "7F000001,127.0.0.1,2,1795349137.367076746,{},-0.000002005,0.000006015,119.860,-3.914,"
    "170.777,0.000031636,0.000061969,0.0,Normal\n"
)


def test_chrony_s_offset() -> None:
    assert read_tracking(TRACKING.format("100.000007629")) == pytest.approx(100.000007629)
    assert read_tracking(TRACKING.format("-0.25")) == -0.25


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (TRACKING.format("much"), "unknown format"),
        (TRACKING.format("1").replace(",Normal", ""), "unknown format"),
        ("", "unknown format"),
        (TRACKING.format("1").replace("Normal", "Not synchronised"), "no source"),
        (TRACKING.format("1").replace("7F000001,127.0.0.1", "7F7F0101,"), "local clock"),
    ],
)
def test_chrony_that_says_something_else(said: str, reason: str) -> None:
    with pytest.raises(Unsure, match=reason):
        read_tracking(said)


def tool(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_tools_are_asked_with_nothing_of_the_caller_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in the tool's place records its arguments and environment."""
    said = tmp_path / "said"
    text = f'env > {said}; printf "%s\\n" "$*" >> {said}; printf %s "{TRACKING.format(3).strip()}"'
    monkeypatch.setattr(ntp, "CHRONYC", tool(tmp_path / "chronyc", text))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    assert ask_chrony() == 3.0
    lines = said.read_text().splitlines()
    assert lines[-1] == "-n -c tracking"
    names = {line.partition("=")[0] for line in lines[:-1]}
    assert names <= {"PATH", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"}


def test_a_tool_that_hangs_fails_or_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ntp, "CHRONYC", str(tmp_path / "nothing"))
    assert ask_chrony() is None
    monkeypatch.setattr(ntp, "CHRONYC", tool(tmp_path / "fails", "exit 1"))
    assert ask_chrony() is None
    monkeypatch.setattr(ntp, "SECONDS", 1)
    monkeypatch.setattr(ntp, "CHRONYC", tool(tmp_path / "hangs", "exec sleep 60"))
    with pytest.raises(Unsure, match="no answer in 1 seconds"):
        ask_chrony()


def test_timesyncd_is_not_started_by_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    monkeypatch.setattr(ntp, "TIMEDATECTL", tool(tmp_path / "timedatectl", f"touch {asked}"))
    monkeypatch.setattr(ntp, "TIMESYNCD", str(tmp_path / "not-running"))
    assert ask_timesyncd() is None
    assert not asked.exists()
    monkeypatch.setattr(ntp, "TIMESYNCD", str(tmp_path))
    with pytest.raises(Unsure):
        ask_timesyncd()
    assert asked.exists()
