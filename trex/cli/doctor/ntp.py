"""How far the clock is off, as chrony or systemd-timesyncd says: codes from a phone go by it."""

from __future__ import annotations

import os
import re
import subprocess

from trex.cli.doctor.finding import NOTE, WARNING, Finding

CHRONYC = "/usr/bin/chronyc"
TIMEDATECTL = "/usr/bin/timedatectl"
TIMESYNCD = "/run/systemd/timesync"  # there while it runs; to ask it otherwise would start it
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
SECONDS = 15
WRONG = 5.0  # seconds; a code is right for 30, and its neighbours too
# chronyc(1), -c and tracking: these of the values between commas.
REFERENCE, STRATUM, OFFSET, LEAP, VALUES = 0, 2, 4, 13, 14
LOCAL = "7F7F0101"  # chrony serves the local clock as if it were right
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800,
         "month": 2629800, "y": 31557600}  # fmt: skip
SPAN = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h|d|w|month|y)(?: |$)")  # systemd.time(7)


class Unsure(Exception):
    """The service cannot say how far the clock is off, and why."""


def check_offset() -> list[Finding]:
    """Return how far the clock is off: a note, or a warning if codes will be wrong by it."""
    why = "Codes from a phone are right for half a minute, by the clocks of both."
    for name, ask in (("chrony", ask_chrony), ("systemd-timesyncd", ask_timesyncd)):
        try:
            offset = ask()
        except Unsure as error:
            what = f"{name} runs, and cannot say whether the clock is right: {error}"
            mend = "chronyc sources" if name == "chrony" else "timedatectl timesync-status"
            return [Finding("clock-unknown", WARNING, what, why, mend)]
        if offset is not None:
            return [_judge(name, offset, why)]
    what = "neither chrony nor systemd-timesyncd runs: whether the clock is right is not known"
    return [Finding("clock-unknown", NOTE, what, why, "apt install chrony; or compare it by hand")]


def _judge(name: str, offset: float, why: str) -> Finding:
    side = "behind" if offset > 0 else "ahead"
    what = f"{name} says that the clock is {abs(offset):.6f} seconds {side}"
    if abs(offset) < WRONG:
        return Finding("clock-offset", NOTE, what, why, "nothing to do")
    mend = "chronyc makestep" if name == "chrony" else "systemctl restart systemd-timesyncd"
    return Finding("clock-offset", WARNING, what, why, mend)


def ask_chrony() -> float | None:
    """Return by how many seconds the clock is behind, None where chronyd does not run.

    Raises Unsure.
    """
    said = _run([CHRONYC, "-n", "-c", "tracking"])
    return None if said is None else read_tracking(said)


def read_tracking(said: str) -> float:
    """Read what `chronyc -c tracking` writes; raises Unsure."""
    values = said.strip().split(",")
    if len(values) != VALUES:
        raise Unsure("its tool's answer has another form")
    if values[LEAP] == "Not synchronised" or values[STRATUM] == "0":
        raise Unsure("no source has answered")
    if values[REFERENCE] == LOCAL:
        raise Unsure("it takes the local clock for the reference")
    try:
        return float(values[OFFSET])
    except ValueError:
        raise Unsure("its tool's answer has another form") from None


def ask_timesyncd() -> float | None:
    """Return by how many seconds the clock is behind, None where timesyncd does not run.

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
        raise Unsure("its tool's answer has another form")
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    return -seconds if found[1] == "-" else seconds


def _run(command: list[str]) -> str | None:
    """Return what a tool says, None if it is not there or finds no service."""
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
