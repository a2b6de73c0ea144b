"""SIGCHLD for this module's own children, which is none of the application's business.

A handler of the application's may call wait(2) without end for a child that lives (vsftpd's does),
or reap a child of ours; one that keeps the signal blocked would find it pending (signalfd(2)).
"""

import os
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from typing import Self
else:
    import _signal as signal  # signal.py builds enumerations for a millisecond: not needed here

SIGCHLD = signal.SIGCHLD
WAITABLE = os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT


class OwnChildren:
    """A time in which children come and go, after which SIGCHLD is pending only if it was before.

    A signal for a child of the application's that ended meanwhile stays pending too. A caller that
    ignores SIGCHLD goes on to: its kernel reaps, a pidfd tells the end all the same, and only the
    exit status is lost. To set it to default meanwhile would leave zombies of its own.
    """

    def __init__(self) -> None:
        self._mask: set[int] = set()
        self._was_pending = False

    def __enter__(self) -> "Self":
        """Block SIGCHLD, and look whether it waits already."""
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, (SIGCHLD,))
        try:
            self._was_pending = SIGCHLD in signal.sigpending()
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Give SIGCHLD back as it was; by now this module's children are reaped."""
        try:
            if not self._was_pending:
                with suppress(OSError):  # the mask must follow; a signal too many is bearable
                    _withdraw()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    @contextmanager
    def paused(self) -> "Iterator[None]":
        """Let the application have its own children meanwhile: it asks its user something."""
        self.__exit__()
        try:
            yield
        finally:
            was_pending = self._was_pending
            self.__enter__()
            self._was_pending = self._was_pending and was_pending


def _withdraw() -> None:
    """Take back a pending SIGCHLD, unless there is a child that it can be about."""
    if SIGCHLD not in signal.sigpending() or _has_waitable_child():
        return
    signal.sigtimedwait((SIGCHLD,), 0)
    if _has_waitable_child():  # it ended between the two, and its signal was merged into ours
        os.kill(os.getpid(), SIGCHLD)


def _has_waitable_child() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, WAITABLE) is not None
    except ChildProcessError:
        return False
