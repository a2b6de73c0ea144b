"""From the start of ssh to the shell: with pam_permit alone, through both doors, and `trex ssh`."""

from __future__ import annotations

import random
import shutil
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.report import distribution, quartile, spread
from tests.support import sandbox
from tests.support.client import Client
from tests.support.sshd import Sshd, answering, saying

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from benchmarks.host import Host
    from benchmarks.report import Report

USER = "cv25519"
ROUNDS = 60  # at most: each takes five connections
BASE, OURS, THEIRS = "pam_permit alone", "pam_trex.so, gpg as askpass", "pam_python, gpg as askpass"
LEAST = "pam_trex.so, least, gpg as askpass"  # benchmarks.host.LEAST_HELPER
CLIENT = "pam_trex.so, through `trex ssh`"
AIM = 1.10  # pam_trex.so, of pam_permit alone


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure, report, and tell whether a login is as fast as it should be."""
    servers = [Sshd(f"bench-{name}") for name in ("permit", "trex-native", "least-native", "trex")]
    permit, ours, least, theirs = servers
    directory = host.place / "askpass"
    directory.mkdir()
    says, answers = saying(directory, "x"), answering(directory, host.holder, directory / "shown")
    laptop, name = _laptop(host, ours)
    command = str(_install() / "trex")
    ways: dict[str, Callable[[], CompletedProcess[str]]] = {
        BASE: lambda: permit.log_in(USER, says, run="true"),
        OURS: lambda: ours.log_in(USER, answers, run="true"),
        LEAST: lambda: least.log_in(USER, answers, run="true"),
        THEIRS: lambda: theirs.log_in(USER, answers, run="true"),
        CLIENT: lambda: laptop.run(command, "ssh", name, "true"),
    }
    figures: dict[str, list[float]] = {way: [] for way in ways}
    order = list(ways)
    try:
        for number in range(min(rounds, ROUNDS) + 1):
            random.shuffle(order)
            for way in order:
                took = _time(way, ways[way])
                if number:
                    figures[way].append(took)
    finally:
        laptop.account.run("gpgconf", "--kill", "all")
        for server in servers:
            server.close()
    ratios = {way: quartile(took) / quartile(figures[BASE]) for way, took in figures.items()}
    rows = [[way, spread(took, 0), f"{ratios[way]:.2f}"] for way, took in figures.items()]
    report.table(
        "ssh from its start to the shell, in ms", ["", "median (quartiles)", "ratio"], rows
    )
    report.picture("ssh", "ssh from its start to the shell",
                   partial(distribution, unit="ms", figures=figures))  # fmt: skip
    report.text(f"pam_trex.so takes {ratios[OURS]:.2f} of pam_permit (the aim is {AIM:.2f}), with "
                "what the user's gpg and its agent take to decrypt; the least helper takes "
                f"{ratios[LEAST]:.2f}.")  # fmt: skip
    return ratios[OURS] <= AIM


def _laptop(host: Host, server: Sshd) -> tuple[Client, str]:
    """Return a client whose keyring has the user's secret key, and its name for the server."""
    account = sandbox.Account("laptop")
    account.import_keys(host.holder.secret(host.keys[USER]))
    laptop = Client(account)
    laptop.allow_service(server, "bench-trex-native")
    return laptop, laptop.knows(server, user=USER)


def _install() -> Path:
    """Put the programs where script/install has them, beside the module; return where."""
    directory = sandbox.MODULE / "script"
    directory.mkdir()
    for name in ("trex", "trex-ssh", "trex-askpass"):
        shutil.copy(sandbox.PROJECT / "script" / name, directory)
    return directory


def _time(way: str, log_in: Callable[[], CompletedProcess[str]]) -> float:
    begun = time.monotonic()
    done = log_in()
    assert done.returncode == 0, (way, done.stderr)  # noqa: S101 (a figure of a failed login is none)
    return (time.monotonic() - begun) * 1000
