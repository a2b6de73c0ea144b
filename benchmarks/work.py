"""Processor time of an attempt and of a login, with all that the server starts for it."""

from __future__ import annotations

import os
import random
import resource
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import quartile, spread
from tests.support import codes, sandbox
from tests.support.sshd import Sshd, answering, saying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.host import Host
    from benchmarks.report import Report

USER = "cv25519"
ROUNDS = 40  # at most
LOGINS = 5  # in a row: the kernel counts in hundredths of a second
TICKS = os.sysconf("SC_CLK_TCK")
BASE = "pam_permit"
REFUSING = {
    "pam_deny": "bench-deny",
    "google-authenticator": "bench-code",
    "pam_trex.so": "bench-trex-native",
    "pam_python": "bench-trex",
}
LETTING_IN = {
    BASE: "bench-permit",
    "google-authenticator": "bench-code",
    "pam_trex.so": "bench-trex-native",
    "pam_python": "bench-trex",
}


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure and report; there is no limit to keep here."""
    sandbox.pam_service("bench-deny", "auth required pam_deny.so")
    refused = {name: partial(_refuse, host, service) for name, service in REFUSING.items()}
    attempts = _collect(refused, min(rounds, ROUNDS))
    rows = [[name, spread(took)] for name, took in attempts.items()]
    report.table("Processor time of a refused attempt in ms, a process for each",
                 ["", "median (quartiles)"], rows)  # fmt: skip
    servers = {name: Sshd(service) for name, service in LETTING_IN.items()}
    try:
        logins = _collect(_ways_in(host, servers), max(2, min(rounds, ROUNDS) // LOGINS))
    finally:
        for server in servers.values():
            server.close()
    rows = [[name, spread(took), f"{1000 / quartile(took):.0f}"] for name, took in logins.items()]
    report.table("Processor time of a login over SSH in ms, the server's side",
                 ["", "median (quartiles)", "logins a second of one core"], rows)  # fmt: skip
    report.text("The first table has the PAM client itself, which is the same for all, the second "
                "one what sshd takes for keys and ciphers.")  # fmt: skip
    return True


def _collect(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return milliseconds for each, in rounds of an order of their own."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(rounds + 1):
        random.shuffle(order)
        for name in order:
            took = ways[name]()
            if number:
                figures[name].append(took)
    return figures


def _refuse(host: Host, service: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = host.ask(service, USER, "--answer", "123456")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert asked.verdict == "PAM_AUTH_ERR", asked.output  # noqa: S101 (nothing was measured)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def _ways_in(host: Host, servers: dict[str, Sshd]) -> Mapping[str, Callable[[], float]]:
    """Return for each server what logs in there a few times, and tells what one login took."""
    directory = host.place / "work"
    directory.mkdir()
    by_key = answering(directory, host.holder, directory / "shown")

    def askpass(name: str) -> Path:
        if name.startswith("pam_trex") or name == "pam_python":
            return by_key
        return saying(directory, codes.code(codes.here()))

    def log_in(name: str) -> float:
        server = servers[name]
        before = _used(server)
        for _ in range(LOGINS):
            done = server.log_in(USER, askpass(name), run="true")
            assert done.returncode == 0, done.stderr  # noqa: S101 (nothing was measured)
        _await_sessions(server)
        return (_used(server) - before) / LOGINS

    return {name: partial(log_in, name) for name in servers}


def _used(server: Sshd) -> float:
    """Return the processor time of sshd's ended children in ms (proc(5), cutime and cstime)."""
    stat = Path(f"/proc/{server.process.pid}/stat").read_text(encoding="utf-8")
    words = stat.rpartition(")")[2].split()
    return sum(map(int, words[13:15])) * 1000 / TICKS


def _await_sessions(server: Sshd) -> None:
    """Wait until sshd has reaped its children: only then their time is counted."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    while children.read_text(encoding="utf-8"):
        time.sleep(0.01)
