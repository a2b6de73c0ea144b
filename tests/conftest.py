"""A PID namespace for each of pytest-xdist's workers, so that no test reaches another worker's."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

# The shell stays as process 1, where it takes the zombies of whoever has lost their parent. /proc is
# made private before, because in a chroot what is mounted there might be seen outside.
FIRST = 'mount --make-rprivate /proc && mount -t proc proc /proc && "$@"; exit'
APART = [
    "unshare", "--pid", "--fork", "--kill-child", "--mount", "--propagation", "unchanged",
    "sh", "-c", FIRST, "sh", sys.executable,
]  # fmt: skip

# This file waits for two minutes and a half. It is begun first: as the last one it would keep the run
# from its end, with nothing beside it.
SLOW = "tests/system/system/test_silent_home.py"

# unshare of util-linux 2.38 leaves them blocked in what it starts; 2.41 does not.
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))


def pytest_xdist_setupnodes(specs: Sequence[Any]) -> None:
    """Start workers so (pytest-xdist's interface). Accounts of two workers have the same ids."""
    if os.geteuid() == 0:
        for spec in specs:
            spec.python = shlex.join(APART)


def pytest_configure(config: pytest.Config) -> None:
    """End a worker whose tests would not run in its main thread: another takes its place.

    Before execnet 2.1 that is a matter of chance. There signal(2) is not to be had, and /proc/self,
    which is the main thread's, is in other namespaces than what the tests start.
    """
    is_worker = hasattr(config, "workerinput")
    if is_worker and threading.current_thread() is not threading.main_thread():
        os._exit(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of SLOW before all others: pytest-xdist hands files out in this order."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW))
