"""Running a program without root: whatever happens to it, the caller survives."""

from __future__ import annotations

import select
import signal
from typing import TYPE_CHECKING

from tests.support.accounts import own_account
from tests.support.forked import in_a_child
from trex.errors import NotStarted
from trex.system import servant

if TYPE_CHECKING:
    import pytest

    from trex.system.child import Child
    from trex.system.privilege import Account


def test_a_program_that_cannot_be_started_does_not_end_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """su and login do not ignore SIGPIPE: a write into a pipe that nobody holds would kill them."""
    start = servant.start

    def start_and_wait(
        child: Child, program: str, account: Account, places: dict[int, int], size: int
    ) -> None:
        start(child, program, account, places, size)
        ended = select.poll()
        ended.register(child.pidfd, select.POLLIN)
        assert ended.poll(10_000)  # as on a host where this process has to wait for its turn

    def told() -> str:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            servant.have_done(own_account(), "trex.sms.send", {})
        except NotStarted as error:
            return str(error)
        return ""

    monkeypatch.setattr(servant, "start", start_and_wait)
    monkeypatch.setattr(servant, "PYTHON", "/nonexistent/python3")
    assert in_a_child(told) == "/nonexistent/python3: run: No such file or directory"
