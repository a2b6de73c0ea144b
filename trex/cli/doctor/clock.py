"""The clock: a wrong one makes keys expired or not yet made, and certificates invalid."""

from __future__ import annotations

import ctypes
import os
import time

from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.openpgp.keylist import day

TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
# What Debian's packages for it bring, each a service that is started with them.
SERVICES = ("/usr/lib/systemd/systemd-timesyncd", "/usr/sbin/chronyd", "/usr/sbin/ntpd")
TIMEX_BYTES = 512  # more than a struct timex has on any platform


def check_clock(files: list[str]) -> list[Finding]:
    """Return what is wrong with the clock; none of `files` can have been written later than now."""
    written = [os.stat(path).st_mtime for path in files if os.path.exists(path)]
    return judge(time.time(), max(written, default=0), synchronized=_is_synchronized())


def judge(now: float, written: float, *, synchronized: bool) -> list[Finding]:
    """Return what follows from the time, the newest file's time, and what the kernel says."""
    mend = _mend()
    if now < written:
        what = f"the clock says {day(now)}, but a file is from {day(written)}"
        why = "A key that was made after today is refused, and an expired one may be taken."
        return [Finding("clock-behind", ERROR, what, why, mend)]
    if not synchronized:
        what = "nothing keeps the clock right, says the kernel"
        why = "Keys and certificates expire by it, and users are told when a challenge ends."
        return [Finding("clock-unsynchronized", WARNING, what, why, mend)]
    return []


def _mend() -> str:
    """Return how the clock is kept right: timedatectl(1) can switch on only what is installed."""
    installed = any(map(os.path.exists, SERVICES))
    return "timedatectl set-ntp true" if installed else "apt install chrony"


def until(seconds: float) -> str:
    """Return the local time in so many seconds, and the day if it is not today's."""
    now = time.time()
    then, today = time.localtime(now + seconds), time.localtime(now)
    same = then[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same else "%Y-%m-%d %H:%M:%S", then)


def _is_synchronized() -> bool:
    """Ask the kernel; to ask only is open to everybody and changes nothing."""
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    return ctypes.CDLL(None).adjtimex(buffer) not in (TIME_ERROR, -1)
