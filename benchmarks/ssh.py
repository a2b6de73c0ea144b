"""From the start of ssh to the shell: with pam_permit alone, with Trex, and through `trex ssh`."""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.report import distribution, spread
from tests.support import sandbox
from tests.support.client import Client
from tests.support.sshd import Sshd, answering, saying

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from benchmarks.host import Host
    from benchmarks.report import Report

SESSION = ("account required pam_permit.so", "session required pam_permit.so")
USER = "cv25519"
ROUNDS = 60  # at most: each takes three connections


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure and report; there is no limit to keep here."""
    sandbox.pam_service("bench-permit", "auth required pam_permit.so", *SESSION)
    permit, trex = Sshd("bench-permit"), Sshd("bench-trex")
    directory = host.place / "askpass"
    directory.mkdir()
    says, answers = saying(directory, "x"), answering(directory, host.holder, directory / "shown")
    laptop, name = _laptop(host, trex)
    ways: dict[str, Callable[[], CompletedProcess[str]]] = {
        "pam_permit alone": lambda: permit.log_in(USER, says, run="true"),
        "Trex, gpg as askpass": lambda: trex.log_in(USER, answers, run="true"),
        "Trex, through `trex ssh`": lambda: laptop.run("trex", "ssh", name, "true"),
    }
    figures: dict[str, list[float]] = {way: [] for way in ways}
    try:
        for number in range(min(rounds, ROUNDS) + 1):
            for way, log_in in ways.items():
                took = _time(log_in)
                if number:
                    figures[way].append(took)
    finally:
        laptop.account.run("gpgconf", "--kill", "all")
        permit.close()
        trex.close()
    base = statistics.median(figures["pam_permit alone"])
    rows = [[name, spread(values, 0), f"{statistics.median(values) / base:.2f}"]
            for name, values in figures.items()]  # fmt: skip
    report.table(
        "ssh from its start to the shell, in ms", ["", "median (quartiles)", "ratio"], rows
    )
    report.picture("ssh", "ssh from its start to the shell",
                   partial(distribution, unit="ms", figures=figures))  # fmt: skip
    return True


def _laptop(host: Host, server: Sshd) -> tuple[Client, str]:
    """Return a client whose keyring has the user's secret key, and its name for the server."""
    account = sandbox.Account("laptop")
    account.import_keys(host.holder.secret(host.keys[USER]))
    laptop = Client(account)
    laptop.allow_service(server, "bench-trex")
    return laptop, laptop.knows(server, user=USER)


def _time(log_in: Callable[[], CompletedProcess[str]]) -> float:
    begun = time.monotonic()
    done = log_in()
    assert done.returncode == 0, done.stderr  # noqa: S101 (a figure of a failed login is none)
    return (time.monotonic() - begun) * 1000
