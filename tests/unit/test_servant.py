"""A program of the package's own that is told what to do, or is no more when it would be told."""

from __future__ import annotations

import os
import pwd
import select
import signal
from typing import TYPE_CHECKING, Any

from tests.forked import in_a_child
from trex import servant
from trex.codeerrors import NotSent
from trex.privilege import find_account

if TYPE_CHECKING:
    import pytest

    from trex.child import Child

GONE = "no/such.py"


def test_a_program_that_ends_before_it_is_told_does_not_end_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interpreter in pam_python leaves SIGPIPE as the application has it."""
    start = servant.start

    def start_and_wait(child: Child, *rest: Any) -> None:
        start(child, *rest)
        assert select.select([child.pidfd], [], [], 10)[0], "it ends"

    def told() -> str:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            servant.have_done(find_account(pwd.getpwuid(os.geteuid()).pw_name), GONE, {})
        except NotSent as error:
            return str(error)
        return ""

    monkeypatch.setattr(servant, "start", start_and_wait)
    assert in_a_child(told) == f"{GONE} ended without a word"
