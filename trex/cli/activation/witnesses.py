"""Where logins note that Trex has let them in, for `trex confirm`: see `trex.login.witness`.

What counts is a login that began after the change. A note from an earlier activation, and one of a
prompt that was open already, would confirm lines that nobody has tried.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.login.witness import PLACE, status_of_process
from trex.system.rewriting import tries

if TYPE_CHECKING:
    from collections.abc import Iterator

SINCE = f"{PLACE}/.since"  # in ticks since the boot, as proc(5) has the start of a process
MAX_ANCESTORS = 64
# getty(8) becomes login(1), and has waited for a name since long before.
OLDER = "login"


def open_witnesses(services: list[str]) -> None:
    """Have logins through these services noted from now on; notes from before are removed.

    Raises OSError.
    """
    for _ in tries():
        close_witnesses()
        with suppress(FileExistsError):  # a login is writing there
            os.mkdir(PLACE, 0o700)
            break
    ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
    with open(SINCE, "x", encoding="ascii") as file:
        file.write(str(int(ticks)))
    for service in services:
        os.mkdir(f"{PLACE}/{service}", 0o700)


def close_witnesses() -> None:
    """Remove what logins have written; no more is written then."""
    for place, directories, files in os.walk(PLACE, topdown=False):
        try:
            for name in files:
                os.unlink(os.path.join(place, name))
            for name in directories:
                os.rmdir(os.path.join(place, name))
        except OSError:  # a login is writing there; the next activation removes it
            continue
    with suppress(OSError):
        os.rmdir(PLACE)


def witness(services: list[str]) -> str | None:
    """Return whose login this process belongs to, None if it is none of those that count."""
    try:
        with open(SINCE, encoding="ascii") as file:
            since = int(file.read())
    except (OSError, ValueError):
        return None
    for pid, started in _ancestors():
        for service in services:
            path = f"{PLACE}/{service}/{pid}.{started}"
            if os.path.exists(path) and (started > since or service == OLDER):
                with open(path, encoding="utf-8", errors="replace") as file:
                    return file.read()
    return None


def _ancestors() -> Iterator[tuple[int, int]]:
    """Yield this process, the one that started it, and so on, with their starts."""
    pid = os.getpid()
    for _ in range(MAX_ANCESTORS):
        try:
            parent, started = status_of_process(pid)
        except (OSError, ValueError):
            return
        yield pid, started
        if parent <= 1:
            return
        pid = parent
