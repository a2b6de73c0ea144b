"""Time from pam_authenticate to the prompt: Trex against what any such module must cost."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.report import distribution, spread

if TYPE_CHECKING:
    from benchmarks.host import Host
    from benchmarks.report import Report

AIM = 1.05  # of a bare pam_python module and one `gpg --encrypt`
LIMIT = 1.15  # of LEAST: machines differ in how slow Python is beside gpg, and this takes both
PAGE_LIMIT = 1.9  # a page with the user's certificate over none, in bare prompts: 30 ms of 16
LEAST = "least"  # benchmarks.host.LEAST
KINDS = ("cv25519", "rsa4096", "signed", "page-plain", "page-files", "page-made")


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure, report, and tell whether the time to the prompt is within its limits."""
    figures = collect(host, rounds)
    middle = {name: statistics.median(values) for name, values in figures.items()}
    rows = [[name, spread(values), _ratio(name, middle)] for name, values in figures.items()]
    report.table("Time to the prompt, in ms", ["", "median (quartiles)", "of bare + gpg"], rows)
    drawn = {name: figures[name] for name in ("bare", "cv25519", "rsa4096", "page-files")}
    report.picture("prompt", "Time to the prompt", partial(distribution, unit="ms", figures=drawn))
    ratio = middle["cv25519"] / (middle["bare"] + middle["gpg cv25519"])
    of_least = middle["cv25519"] / middle[LEAST]
    later = (middle["page-files"] - middle["cv25519"]) / middle["bare"]
    report.text(
        f"Trex takes {ratio:.3f} of bare + gpg (the aim is {AIM}), and {of_least:.3f} of the least "
        f"that a module in Python can do (at most {LIMIT}): no record, no check, only fork, drop "
        "ids, gpg, prompt. With a page and the user's "
        f"certificate the prompt is later by {later:.2f} bare prompts (at most {PAGE_LIMIT})."
    )
    return of_least <= LIMIT and later <= PAGE_LIMIT


def collect(host: Host, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds for each, in turns.

    The lone gpg is started while the bare module's prompt is open: by a process in the state that
    it has in a login too, on processors as warm as they are then.
    """
    figures: dict[str, list[float]] = {
        name: []
        for name in ("bare", "gpg cv25519", "gpg rsa4096", "google-authenticator", LEAST, *KINDS)
    }
    for number in range(rounds + 1):
        taken: dict[str, float] = {}
        for kind in ("cv25519", "rsa4096"):
            bare = host.ask("bench-bare", kind, *_as(host, kind), then=_encrypt(host, kind))
            taken["bare"] = bare.numbers("prompt-us")[0] / 1000
            taken[f"gpg {kind}"] = bare.numbers("run-us")[0] / 1000
        code = host.ask("bench-code", "cv25519", "--answer", "123456")
        taken["google-authenticator"] = code.numbers("prompt-us")[0] / 1000
        for kind in (LEAST, *KINDS) if number % 2 else (*reversed(KINDS), LEAST):
            service, user = (f"bench-{LEAST}", KINDS[0]) if kind == LEAST else ("bench-trex", kind)
            taken[kind] = host.ask(service, user).numbers("prompt-us")[0] / 1000
        if number:  # the first fills the caches
            for name, value in taken.items():
                figures[name].append(value)
    return figures


def _as(host: Host, user: str) -> tuple[str, str]:
    account = host.accounts[user]
    return "--run-as", f"{account.uid}:{account.gid}"


def _encrypt(host: Host, kind: str) -> tuple[str, ...]:
    return (
        "/usr/bin/gpg", "--batch", "--quiet", "--homedir", str(host.accounts[kind].gnupg),
        "--trust-model", "always", "--armor", "--encrypt", "--recipient", host.keys[kind],
    )  # fmt: skip


def _ratio(name: str, middle: dict[str, float]) -> str:
    gpg = middle["gpg rsa4096" if name == "rsa4096" else "gpg cv25519"]
    return f"{middle[name] / (middle['bare'] + gpg):.3f}" if name in (LEAST, *KINDS) else ""
