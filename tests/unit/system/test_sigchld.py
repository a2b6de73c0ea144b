"""What is pending of SIGCHLD after a time with children: what was, and the application's own."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from tests.support.forked import in_a_child
from trex.system import sigchld
from trex.system.sigchld import OwnChildren

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGCHLD = signal.SIGCHLD
TESTS_TIME = 30  # seconds until a test that waits for ever is ended


def end_a_child(*, reaped: bool) -> None:
    """Start a child that ends: SIGCHLD is sent, no matter who reaps it."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    if reaped:
        os.waitpid(child, 0)


def told(work: Callable[[], object], *, blocked: bool = False) -> tuple[int, bool]:
    """Return how often a handler was called by `work`, and whether the signal is pending after it."""

    def run() -> tuple[int, bool]:
        calls: list[int] = []
        signal.alarm(TESTS_TIME)
        signal.signal(SIGCHLD, lambda number, _: calls.append(number))
        signal.pthread_sigmask(signal.SIG_BLOCK if blocked else signal.SIG_UNBLOCK, (SIGCHLD,))
        work()
        return len(calls), SIGCHLD in signal.sigpending()

    calls, pending = in_a_child(run)
    return calls, pending


def own() -> None:
    with OwnChildren():
        end_a_child(reaped=True)
        end_a_child(reaped=True)


def the_application_s() -> None:
    with OwnChildren():
        end_a_child(reaped=True)
        end_a_child(reaped=False)


def the_application_s_alone() -> None:
    with OwnChildren():
        end_a_child(reaped=False)


def none() -> None:
    with OwnChildren():
        pass


@pytest.mark.parametrize(
    ("work", "calls"),
    [(own, 0), (none, 0), (the_application_s, 1), (the_application_s_alone, 1)],
)
def test_only_what_is_the_application_s_is_left(work: Callable[[], None], calls: int) -> None:
    assert told(work) == (calls, False)
    assert told(work, blocked=True) == (0, bool(calls))


def test_what_is_left_still_says_that_a_child_has_exited() -> None:
    """signalfd(2) and sigwaitinfo(2) read it: it is the kernel's own, and not sent again."""

    def work() -> None:
        the_application_s()
        left = signal.sigtimedwait((SIGCHLD,), 0)
        assert left
        assert left.si_code == os.CLD_EXITED

    assert told(work, blocked=True) == (0, False)


def test_what_was_pending_stays_pending() -> None:
    def work() -> None:
        os.kill(os.getpid(), SIGCHLD)
        own()

    assert told(work, blocked=True) == (0, True)


def test_while_it_is_paused_the_application_hears_of_its_children() -> None:
    def work() -> None:
        with OwnChildren() as children:
            end_a_child(reaped=True)
            with children.paused():
                end_a_child(reaped=True)
            end_a_child(reaped=True)

    assert told(work) == (1, False)
    assert told(work, blocked=True) == (0, False)


def test_what_the_application_has_taken_itself_in_a_pause_does_not_come_back() -> None:
    def work() -> None:
        os.kill(os.getpid(), SIGCHLD)
        with OwnChildren() as children:
            with children.paused():
                assert signal.sigtimedwait((SIGCHLD,), 0)
            end_a_child(reaped=True)

    assert told(work, blocked=True) == (0, False)


def test_a_child_that_ends_while_the_signal_is_taken_back_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the check for a child and sigtimedwait(2), its signal and ours are merged."""
    answers: Iterator[bool] = iter([False, True])
    monkeypatch.setattr(sigchld, "_has_waitable_child", lambda: next(answers))
    assert told(own) == (1, False)


def test_the_mask_is_borrowed_also_where_something_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    inside: set[int] = set()

    def fail() -> None:
        with OwnChildren() as children:
            inside.update(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            with children.paused():
                assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
                _ = 1 // 0

    def cannot(*_: object) -> None:
        raise OSError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()
        assert inside == before | {SIGCHLD}
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
        monkeypatch.setattr(sigchld, "_withdraw", cannot)


def test_where_it_cannot_be_asked_what_is_pending_the_mask_stays() -> None:
    def run() -> set[int]:
        def refuse() -> set[int]:
            raise OSError(errno.EAGAIN, "as at any system call")

        signal.alarm(TESTS_TIME)
        with (
            patch("_signal.sigpending", refuse),
            pytest.raises(OSError, match="as at any system call"),
            OwnChildren(),
        ):
            pass
        return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    assert SIGCHLD not in in_a_child(run)


def living_child() -> int:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(TESTS_TIME)
        while True:
            signal.pause()
    return child


def end(child: int) -> None:
    signal.signal(SIGCHLD, signal.SIG_DFL)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_child_of_the_application_s_that_lives_is_not_waited_for() -> None:
    def work() -> None:
        child = living_child()
        own()
        end(child)

    assert told(work) == (0, False)


@pytest.mark.parametrize("change", ["stopped", "continued"])
def test_a_child_of_the_application_s_that_stops_or_goes_on_is_told(change: str) -> None:
    def work() -> list[int]:
        signal.alarm(TESTS_TIME)
        calls: list[int] = []
        signal.signal(SIGCHLD, lambda number, _: calls.append(number))
        with OwnChildren():
            end_a_child(reaped=True)
            child = living_child()
            os.kill(child, signal.SIGSTOP)
            os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOWAIT)
            if change == "continued":
                os.waitpid(child, os.WUNTRACED)
                os.kill(child, signal.SIGCONT)
                os.waitid(os.P_PID, child, os.WCONTINUED | os.WNOWAIT)
        told_at = list(calls)
        end(child)
        return told_at

    assert in_a_child(work) == [SIGCHLD]


def test_a_child_of_the_application_s_that_has_ended_is_its_to_reap() -> None:
    def run() -> bool:
        signal.alarm(TESTS_TIME)
        with OwnChildren():
            end_a_child(reaped=True)
            child = os.fork()
            if child == 0:
                os._exit(7)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

    assert in_a_child(run) is True
