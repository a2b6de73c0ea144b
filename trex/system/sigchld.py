"""Hiding SIGCHLD of this module's own children from the application.

The application's handler may wait(2) for ever for a child that lives (vsftpd's does), or reap one
of ours; an application that keeps the signal blocked would find it pending (signalfd(2)).
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Self
else:
    import _signal as signal  # signal.py takes a millisecond to build enumerations

SIGCHLD = signal.SIGCHLD
WAITABLE = os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT


class OwnChildren:
    """A block in which children start and end; afterwards SIGCHLD is pending only if it was before.

    A signal for one of the application's children that ended meanwhile stays pending too. An
    application that ignores SIGCHLD continues to: the kernel then reaps, a pidfd still tells the
    end, and only the exit status is lost. The default action would leave the application's own
    children as zombies.
    """

    def __init__(self) -> None:
        self._mask: set[int] = set()
        self._was_pending = False

    def __enter__(self) -> "Self":
        """Block SIGCHLD, and note whether it is pending already."""
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, (SIGCHLD,))
        try:
            self._was_pending = SIGCHLD in signal.sigpending()
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Restore SIGCHLD; by now this module's children are reaped."""
        try:
            if not self._was_pending:
                _withdraw()
        except OSError:  # a signal too many does no harm
            pass
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def paused(self) -> "Paused":
        """Return a block in which it is restored: the application asks its user something."""
        return Paused(self)

    def resume(self) -> None:
        """Block it again; it counts as pending before only if it was so both times."""
        was_pending = self._was_pending
        self.__enter__()
        self._was_pending = self._was_pending and was_pending


class Paused:
    """A block within `OwnChildren` in which the application has its SIGCHLD."""

    def __init__(self, children: OwnChildren) -> None:
        self._children = children

    def __enter__(self) -> None:
        """Restore SIGCHLD."""
        self._children.__exit__()

    def __exit__(self, *exception: object) -> None:
        """Block it again."""
        self._children.resume()


def _withdraw() -> None:
    """Discard a pending SIGCHLD, unless there is a child that it may be for."""
    if SIGCHLD not in signal.sigpending() or _has_waitable_child():
        return
    signal.sigtimedwait((SIGCHLD,), 0)
    if _has_waitable_child():  # it ended in between, and its signal was merged into ours
        os.kill(os.getpid(), SIGCHLD)


def _has_waitable_child() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, WAITABLE) is not None
    except ChildProcessError:
        return False
