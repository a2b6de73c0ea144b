"""Time from pam_authenticate to the prompt, through both doors, against what it must cost.

Hot is an attempt right after another one, cold one after a pause, as on most servers: the
processor's caches and its clock then belong to nobody.
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.report import distribution, quartile, spread

if TYPE_CHECKING:
    from benchmarks.host import Host
    from benchmarks.report import Report

AIMS = {"hot": 0.80, "cold": 0.58}  # pam_trex.so, of a bare pam_python module and one `gpg`
LEAST_LIMIT = 1.15  # pam_python, of what the least module in Python takes there
PAGE_LIMIT = 1.9  # a page with the user's certificate over none, in bare prompts: 30 ms of 16
COLD_ROUNDS = 25  # at most
IDLE_SECONDS = 1.5
USER = "cv25519"
BARE, GPG = "bare", "one gpg"
OURS, LEAST = "pam_trex.so", "pam_trex.so, least"
THEIRS, THEIR_LEAST = "pam_python", "pam_python, least"
DOORS = {
    OURS: ("bench-trex-native", USER),
    LEAST: ("bench-least-native", USER),
    THEIRS: ("bench-trex", USER),
    THEIR_LEAST: ("bench-least", USER),
    "google-authenticator": ("bench-code", USER),
}
KINDS = {
    f"{OURS}, {kind}": ("bench-trex-native", kind)
    for kind in ("rsa4096", "signed", "page-plain", "page-files", "page-made")
}


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure, report, and tell whether the time to the prompt is within its limits."""
    hot = collect(host, rounds, {**DOORS, **KINDS})
    cold = collect(host, min(rounds, COLD_ROUNDS), DOORS, IDLE_SECONDS)
    _tell(report, "hot", hot)
    _tell(report, "cold", cold)
    drawn = {name: hot[name] for name in (BARE, OURS, LEAST, THEIRS)}
    report.picture("prompt", "Time to the prompt, hot",
                   partial(distribution, unit="ms", figures=drawn))  # fmt: skip
    reached = {when: _ratio(times, OURS) for when, times in (("hot", hot), ("cold", cold))}
    of_least = quartile(hot[THEIRS]) / quartile(hot[THEIR_LEAST])
    later = (quartile(hot[f"{OURS}, page-files"]) - quartile(hot[OURS])) / quartile(hot[BARE])
    report.text(
        f"Of bare + gpg pam_trex.so takes {reached['hot']:.2f} hot (the aim is {AIMS['hot']:.2f}) "
        f"and {reached['cold']:.2f} cold (the aim is {AIMS['cold']:.2f}). *Least* is a helper, or "
        "a module for pam_python, without a record and without a check: it forks, drops ids, runs "
        f"gpg and asks. Trex in pam_python takes {of_least:.2f} of that (at most {LEAST_LIMIT}). "
        "With a page and the user's certificate the prompt is later by "
        f"{later:.2f} bare prompts (at most {PAGE_LIMIT})."
    )
    good = all(reached[when] <= AIMS[when] for when in AIMS)
    return good and of_least <= LEAST_LIMIT and later <= PAGE_LIMIT


def collect(
    host: Host, rounds: int, asked: dict[str, tuple[str, str]], idle: float = 0.0
) -> dict[str, list[float]]:
    """Return milliseconds for each, in rounds of an order of their own, `idle` seconds apart.

    The lone gpg is started while the bare module's prompt is open: by a process in the state that
    it has in a login too, on processors as warm as they are then.
    """
    figures: dict[str, list[float]] = {name: [] for name in (BARE, GPG, *asked)}
    order = [BARE, *asked]
    for number in range(rounds + 1):
        random.shuffle(order)
        taken: dict[str, float] = {}
        for name in order:
            time.sleep(idle)
            if name == BARE:
                taken |= _bare_and_gpg(host)
            else:
                asking = host.ask(*asked[name], "--answer", "123456")
                taken[name] = asking.numbers("prompt-us")[0] / 1000
        if number:  # the first fills the caches
            for name, value in taken.items():
                figures[name].append(value)
    return figures


def _bare_and_gpg(host: Host) -> dict[str, float]:
    account = host.accounts[USER]
    encrypt = (
        "/usr/bin/gpg", "--batch", "--quiet", "--homedir", str(account.gnupg),
        "--trust-model", "always", "--armor", "--encrypt", "--recipient", host.keys[USER],
    )  # fmt: skip
    ids = f"{account.uid}:{account.gid}"
    bare = host.ask("bench-bare", USER, "--run-as", ids, then=encrypt)
    return {
        name: bare.numbers(key)[0] / 1000 for name, key in ((BARE, "prompt-us"), (GPG, "run-us"))
    }


def _tell(report: Report, when: str, figures: dict[str, list[float]]) -> None:
    rows = [
        [name, spread(times), "" if name in (BARE, GPG) else f"{_ratio(figures, name):.3f}"]
        for name, times in figures.items()
    ]
    report.table(f"Time to the prompt in ms, {when}",
                 ["", "median (quartiles)", "of bare + gpg"], rows)  # fmt: skip


def _ratio(figures: dict[str, list[float]], name: str) -> float:
    return quartile(figures[name]) / (quartile(figures[BARE]) + quartile(figures[GPG]))
