"""The clock: a wrong one makes keys expired or not yet made, and certificates invalid."""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress

from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.remedy import by_hand, is_booted
from trex.openpgp.keylist import day

TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
# The services of Debian's packages for it; each starts when its package is installed.
SERVICES = ("/usr/lib/systemd/systemd-timesyncd", "/usr/sbin/chronyd", "/usr/sbin/ntpd")
CAP_SYS_TIME = 25
TIMEX_BYTES = 512  # larger than struct timex on any platform


def check_clock(files: list[str]) -> list[Finding]:
    """Return what is wrong with the clock; none of `files` can be newer than now."""
    written = [os.stat(path).st_mtime for path in files if os.path.exists(path)]
    return judge(time.time(), max(written, default=0), synchronized=_is_synchronized())


def judge(now: float, written: float, *, synchronized: bool) -> list[Finding]:
    """Return the findings; times are seconds since the epoch, `written` is the newest file's."""
    fix = _fix()
    if now < written:
        what = f"the clock shows {day(now)}, but a file is from {day(written)}"
        why = "A key created after that day is refused, and an expired key may be accepted."
        return [Finding("clock-behind", ERROR, what, why, fix)]
    if not synchronized:
        what = "the kernel reports that the clock is not synchronized"
        why = "Keys and certificates expire by it, and prompts say until when they are valid."
        severity = (
            WARNING if may_be_set() and is_booted() else NOTE
        )  # in a container, not its affair
        return [Finding("clock-unsynchronized", severity, what, why, fix)]
    return []


def _fix() -> str:
    """Return how to synchronize the clock; timedatectl(1) enables only what is installed."""
    if not may_be_set():
        return by_hand("set it on the machine that runs this container: the clock is one for all")
    if not is_booted():
        return by_hand("have an NTP service started here, or on the machine around")
    installed = any(map(os.path.exists, SERVICES))
    return "timedatectl set-ntp true" if installed else "apt install chrony"


def may_be_set() -> bool:
    """Return whether root may set the clock here: capabilities(7), CAP_SYS_TIME."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("CapBnd:"):
                return bool(int(line.split()[1], 16) >> CAP_SYS_TIME & 1)
    return True


def until(seconds: float) -> str:
    """Return the local time in `seconds` seconds, with the date if that is not today."""
    now = time.time()
    then, today = time.localtime(now + seconds), time.localtime(now)
    same = then[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same else "%Y-%m-%d %H:%M:%S", then)


def _is_synchronized() -> bool:
    """Ask the kernel. Anybody may ask, and asking changes nothing."""
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    return ctypes.CDLL(None).adjtimex(buffer) not in (TIME_ERROR, -1)
