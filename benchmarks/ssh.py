"""An SSH login from the start of ssh to the shell: with pam_permit alone, and with Trex."""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.report import distribution, spread
from tests import sandbox
from tests.sshd import Sshd, answering, saying

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.host import Host
    from benchmarks.report import Report

SESSION = ("account required pam_permit.so", "session required pam_permit.so")
ROUNDS = 60  # at most: each takes two connections


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure and report; there is no limit to keep here."""
    sandbox.pam_service("bench-permit", "auth required pam_permit.so", *SESSION)
    servers = {"pam_permit alone": Sshd("bench-permit"), "Trex, gpg as askpass": Sshd("bench-trex")}
    directory = host.place / "askpass"
    directory.mkdir()
    answers = {
        "pam_permit alone": saying(directory, "x"),
        "Trex, gpg as askpass": answering(directory, host.holder, directory / "shown"),
    }
    figures: dict[str, list[float]] = {name: [] for name in servers}
    try:
        for number in range(min(rounds, ROUNDS) + 1):
            for name, server in servers.items():
                took = _log_in(server, answers[name])
                if number:
                    figures[name].append(took)
    finally:
        for server in servers.values():
            server.close()
    base = statistics.median(figures["pam_permit alone"])
    rows = [[name, spread(values, 0), f"{statistics.median(values) / base:.2f}"]
            for name, values in figures.items()]  # fmt: skip
    report.table(
        "ssh from its start to the shell, in ms", ["", "median (quartiles)", "ratio"], rows
    )
    report.picture("ssh", "ssh from its start to the shell",
                   partial(distribution, unit="ms", figures=figures))  # fmt: skip
    return True


def _log_in(server: Sshd, askpass: Path) -> float:
    begun = time.monotonic()
    done = server.log_in("cv25519", askpass, run="true")
    assert done.returncode == 0, done.stderr  # noqa: S101 (a figure of a failed login is none)
    return (time.monotonic() - begun) * 1000
