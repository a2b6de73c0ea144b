"""`trex doctor` for the clock: the kernel's word, a file from the future, and a real chrony."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import trex
from tests.support.examination import write_stack
from tests.support.mounts import overlaid
from trex.cli.doctor import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account

CHRONY = [Path("/"), sandbox.PROJECT / ".venv/chrony"]  # installed, or unpacked by script/bootstrap
NTP = """
import socket, struct, sys, time
port, ahead = int(sys.argv[1]), float(sys.argv[2])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", port))
def stamp(seconds):
    seconds += 2208988800 + ahead
    return struct.pack("!II", int(seconds), int(seconds % 1 * 2**32))
while True:  # RFC 5905, section 7.3
    asked, client = server.recvfrom(512)
    now = time.time()
    head = struct.pack("!BBbb II4s", asked[0] & 0x38 | 4, 1, 6, -20, 0, 0, b"TEST")
    server.sendto(head + stamp(now - 1) + asked[40:48] + stamp(now) + stamp(time.time()), client)
"""


@pytest.fixture
def programs(place: Path) -> Iterator[Path]:
    """Have chronyc where doctor looks for it; yield the directory with chrony's usr/sbin."""
    there = [root for root in CHRONY if (root / "usr/sbin/chronyd").exists()]
    if not there:
        pytest.skip("no chrony: script/bootstrap test unpacks it")
    with overlaid(Path("/usr/bin")):
        if there[0] != Path("/"):
            shutil.copy(there[0] / "usr/bin/chronyc", "/usr/bin/chronyc")
        yield there[0]


@pytest.fixture
def chrony(programs: Path, place: Path) -> Iterator[Callable[[str], None]]:
    """Run a real chronyd that leaves the clock alone (-x), with these lines of configuration."""
    run = Path("/run/chrony")
    run.mkdir(mode=0o750)
    running: list[subprocess.Popen[bytes]] = []

    def start(*lines: str, ahead: float = 0.0) -> None:
        stop()
        running.append(subprocess.Popen([sys.executable, "-c", NTP, "11123", str(ahead)]))
        configuration = place / "chrony.conf"
        pid = run / "chronyd.pid"
        configuration.write_text(
            "\n".join([*lines, "port 0", f"pidfile {pid}", "maxdistance 999", ""])
        )
        running.append(subprocess.Popen(
            [programs / "usr/sbin/chronyd", "-x", "-d", "-u", "root", "-f", configuration],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ))  # fmt: skip
        deadline = time.monotonic() + 60
        while not (run / "chronyd.sock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop() -> None:
        while running:
            process = running.pop()
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    yield start
    stop()
    shutil.rmtree(run)


def clock_says() -> list[tuple[str, str, str]]:
    findings = json.loads(trex("doctor", "--json").stdout)["findings"]
    return [(f["check"], f["severity"], f["what"]) for f in findings
            if f["check"] in ("clock-offset", "clock-unknown")]  # fmt: skip


SOURCE = "server 127.0.0.1 port 11123 iburst minpoll -6 maxpoll -6"


def test_the_offset_as_a_real_chrony_says_it(coder: Account, chrony: Callable[..., None]) -> None:
    for ahead, severity, pattern in ((0.0, "note", r"0\.\d+ seconds (ahead|behind)"),
                                     (100.0, "warning", r"(99\.[5-9]|100\.[0-4])\d* seconds behind"),
                                     (-60.0, "warning", r"(59\.[5-9]|60\.[0-4])\d* seconds ahead")):  # fmt: skip
        chrony(SOURCE, ahead=ahead)
        deadline = time.monotonic() + 90
        while (said := clock_says())[0][0] == "clock-unknown" and time.monotonic() < deadline:
            time.sleep(0.5)
        [(check, found_severity, what)] = said
        assert (check, found_severity) == ("clock-offset", severity)
        assert re.search(f"^chrony reports that the clock is {pattern}$", what)


def test_a_chrony_that_knows_no_better(coder: Account, chrony: Callable[..., None]) -> None:
    chrony()
    [(check, severity, what)] = clock_says()
    assert (check, severity) == ("clock-unknown", "warning")
    assert what.endswith("no source has answered")
    chrony("local stratum 8")
    assert clock_says()[0][2].endswith("its reference is the local clock")


def test_without_a_time_service_it_says_so(coder: Account) -> None:
    [(check, severity, what)] = clock_says()
    assert (check, severity) == ("clock-unknown", "note")
    assert what.startswith("neither chrony nor systemd-timesyncd runs")
    write_stack("required {trex}")
    assert clock_says() == [], "keys do not go by seconds"


def test_a_clock_that_is_behind() -> None:
    now = time.time()
    assert [f.check for f in clock.judge(now - 86400, now, synchronized=True)] == ["clock-behind"]
    assert [f.check for f in clock.judge(now, now - 1, synchronized=False)] == ["clock-unsynchronized"]  # fmt: skip
    assert clock.judge(now, now - 1, synchronized=True) == []


def test_what_keeps_the_clock_right_is_switched_on_or_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clock, "is_booted", lambda: True)
    monkeypatch.setattr(clock, "may_be_set", lambda: True)
    monkeypatch.setattr(clock, "SERVICES", (str(tmp_path),))
    assert clock._fix() == "timedatectl set-ntp true"
    monkeypatch.setattr(clock, "SERVICES", (str(tmp_path / "chronyd"),))
    assert clock._fix() == "apt install chrony"


@pytest.mark.parametrize(("booted", "capable"), [(False, True), (True, False), (True, True)])
def test_in_a_container_the_clock_is_not_its_affair(
    monkeypatch: pytest.MonkeyPatch, booted: bool, capable: bool
) -> None:
    monkeypatch.setattr(clock, "is_booted", lambda: booted)
    monkeypatch.setattr(clock, "may_be_set", lambda: capable)
    [finding] = clock.judge(time.time(), 0, synchronized=False)
    assert finding.severity == ("warning" if booted and capable else "note")
    assert finding.is_by_hand != (booted and capable)
    assert "timedatectl" not in finding.fix or booted


def test_who_may_set_the_clock_is_known_from_the_capabilities() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(sandbox.MODULE)!r}); "
        "from trex.cli.doctor.clock import may_be_set; print(may_be_set())"
    )
    for bound, expected in (([], "True"), (["--bounding-set", "-sys_time"], "False")):
        done = subprocess.run(
            ["setpriv", *bound, "/usr/bin/python3", "-B", "-c", program],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == expected


def test_a_file_from_the_future(host: Account) -> None:
    path = sandbox.MODULE / "trex/cli/doctor/command.py"
    kept = path.stat().st_mtime
    os.utime(path, (time.time() + 86400,) * 2)
    try:
        assert "clock-behind" in trex("doctor", "--json").stdout
    finally:
        os.utime(path, (kept, kept))
