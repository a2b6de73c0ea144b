"""The clock's offset, as chrony or systemd-timesyncd reports it: codes depend on the clock."""

from __future__ import annotations

import os
import re
import subprocess

from trex.cli.doctor.finding import NOTE, WARNING, Finding
from trex.cli.doctor.remedy import by_hand

CHRONYC = "/usr/bin/chronyc"
TIMEDATECTL = "/usr/bin/timedatectl"
TIMESYNCD = "/run/systemd/timesync"  # exists while it runs; asking it otherwise would start it
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
SECONDS = 15
WRONG = 5.0  # seconds; a code is valid for 30, and its neighbours are accepted too
# chronyc(1), tracking with -c: indexes of the comma-separated values.
REFERENCE, STRATUM, OFFSET, LEAP, VALUES = 0, 2, 4, 13, 14
LOCAL = "7F7F0101"  # the reference is the local clock itself
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800,
         "month": 2629800, "y": 31557600}  # fmt: skip
SPAN = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h|d|w|month|y)(?: |$)")  # systemd.time(7)


class Unsure(Exception):
    """The service does not know the offset; the message says why."""


def check_offset() -> list[Finding]:
    """Return the clock's offset: a note, or a warning if it makes codes wrong."""
    why = "Codes from a phone are valid for half a minute, by the clocks of phone and host."
    for name, ask in (("chrony", ask_chrony), ("systemd-timesyncd", ask_timesyncd)):
        try:
            offset = ask()
        except Unsure as error:
            what = f"{name} runs, but does not know whether the clock is right: {error}"
            status = "chronyc sources" if name == "chrony" else "timedatectl timesync-status"
            fix = by_hand(f"{status} says which servers do not answer")
            return [Finding("clock-unknown", WARNING, what, why, fix)]
        if offset is not None:
            return [_judge(name, offset, why)]
    what = "neither chrony nor systemd-timesyncd runs: the clock may be wrong"
    return [
        Finding("clock-unknown", NOTE, what, why, by_hand("compare the clock with the phone's"))
    ]


def _judge(name: str, offset: float, why: str) -> Finding:
    side = "behind" if offset > 0 else "ahead"
    what = f"{name} reports that the clock is {abs(offset):.6f} seconds {side}"
    if abs(offset) < WRONG:
        return Finding("clock-offset", NOTE, what, why, by_hand("nothing to do"))
    fix = "chronyc makestep" if name == "chrony" else "systemctl restart systemd-timesyncd"
    return Finding("clock-offset", WARNING, what, why, fix)


def ask_chrony() -> float | None:
    """Return the seconds that the clock is behind, None where chronyd does not run.

    Raises Unsure.
    """
    said = _run([CHRONYC, "-n", "-c", "tracking"])
    return None if said is None else read_tracking(said)


def read_tracking(said: str) -> float:
    """Read what `chronyc -c tracking` writes; raises Unsure."""
    values = said.strip().split(",")
    if len(values) != VALUES:
        raise Unsure("its tool writes an unknown format")
    if values[LEAP] == "Not synchronised" or values[STRATUM] == "0":
        raise Unsure("no source has answered")
    if values[REFERENCE] == LOCAL:
        raise Unsure("its reference is the local clock")
    try:
        return float(values[OFFSET])
    except ValueError:
        raise Unsure("its tool writes an unknown format") from None


def ask_timesyncd() -> float | None:
    """Return the seconds that the clock is behind, None where timesyncd does not run.

    Raises Unsure.
    """
    if not os.path.isdir(TIMESYNCD):
        return None
    said = _run([TIMEDATECTL, "--no-pager", "timesync-status"])
    return None if said is None else read_status(said)


def read_status(said: str) -> float:
    """Read what `timedatectl timesync-status` writes; raises Unsure."""
    found = re.search(r"^ *Offset: ([+-]?)(.+)$", said, re.MULTILINE)
    if not found:
        raise Unsure("no server has answered")
    text = found[2].strip()
    parts = SPAN.findall(text)
    if text != "0" and " ".join(number + unit for number, unit in parts) != text:
        raise Unsure("its tool writes an unknown format")
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    return -seconds if found[1] == "-" else seconds


def _run(command: list[str]) -> str | None:
    """Return a tool's output, None if it is not installed or finds no service."""
    try:
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            command, capture_output=True, text=True, check=False, timeout=SECONDS,
            stdin=subprocess.DEVNULL, env=ENVIRONMENT, cwd="/",
        )  # fmt: skip
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired:
        raise Unsure(f"no answer in {SECONDS} seconds") from None
    except OSError as error:
        raise Unsure(f"{command[0]}: {error.strerror}") from None
    return done.stdout if done.returncode == 0 else None
