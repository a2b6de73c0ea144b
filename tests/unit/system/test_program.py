"""What a program of this package says: one line, once, and no longer than is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.forked import in_a_child
from trex.errors import ProgramFailed
from trex.system.program import MAX_REPORT, STATUS_FD, STDIN_FD, report, run

if TYPE_CHECKING:
    from collections.abc import Callable


def said(work: Callable[[], None]) -> bytes:
    """Return what `work` writes as a program, up to the end of the pipe."""

    def run_it() -> bytes:
        source, sink = os.pipe()
        os.dup2(sink, STATUS_FD)
        if sink != STATUS_FD:
            os.close(sink)
        work()
        with open(source, "rb") as stream:
            return stream.read()

    result: bytes = in_a_child(run_it)
    return result


def ran(work: Callable[[dict[str, Any]], str]) -> bytes:
    """Return what `run` reports of work for a request."""

    def run_it() -> None:
        told, tell = os.pipe()
        os.write(tell, b'{"name": "x"}')
        os.close(tell)
        os.dup2(told, STDIN_FD)
        run(work)

    return said(run_it)


def test_what_a_program_says_is_one_line_that_can_be_printed() -> None:
    def fail(_: object) -> str:
        raise ProgramFailed("a\nb\x1b[2J")

    def exit_at_once(_: object) -> str:
        raise SystemExit("secret")

    assert ran(lambda told: f"done {told['name']}\n\x1b") == b"done x\\n\\x1b\n"
    assert ran(fail) == b"failed a\\nb\\x1b[2J\n"
    assert ran(exit_at_once) == b"failed with an unforeseen SystemExit\n"


def test_a_name_that_is_no_utf_8_is_reported_too() -> None:
    """And nothing can follow: `said` reads up to the end of the pipe."""
    assert said(lambda: report("unavailable \udcff")) == b"unavailable \\udcff\n"


@pytest.mark.parametrize("sign", ["x", "\n", "\U000e0001", "é"])
def test_a_report_is_no_longer_than_its_reader_takes(sign: str) -> None:
    reported = said(lambda: report(sign * 2 * MAX_REPORT))
    assert MAX_REPORT - 2 <= len(reported) <= MAX_REPORT
    assert reported.endswith(b"...\n")
