"""A program that is fed and read: what it gets, how much it may say, and for how long."""

from __future__ import annotations

import errno
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import run, script
from trex.errors import NotStarted, ProgramFailed
from trex.system.child import LARGEST_PIPE, end_with_parent
from trex.system.filter import MAX_OUTPUT, Filter
from trex.system.privilege import find_account

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else"),
    pytest.mark.usefixtures("nothing_is_left"),
]


def test_it_gets_its_input_its_instructions_and_each_key_in_a_pipe_of_its_own(
    program: Path,
) -> None:
    """By their names in /proc, as gpg opens them: as the account, which must own them."""
    files = " ".join(f"/proc/self/fd/{number}" for number in (5, 6, 7))
    finished = run(script(program, f"cat - {files}; echo done >&3"), keys=[b" one", b" two"])
    assert finished.output == b"intold one two"
    assert finished.status == b"done\n"
    assert finished.code == 0


def test_it_can_be_given_as_many_keys_as_it_has_pipes_for(program: Path) -> None:
    child = Filter()
    command = [str(script(program, "cat /proc/self/fd/6"))]
    child.start_filter(command, find_account("nobody"), end_with_parent, keys=2)
    assert child.room == 2
    child.feed(b"", b"", [b"one"])
    assert child.finish(time.monotonic() + 20).output == b"one"


def test_what_a_sieve_leaves_is_counted_and_kept(program: Path) -> None:
    child = Filter()
    command = [str(script(program, f"head -c {4 * MAX_OUTPUT} /dev/zero; echo x"))]
    child.start_filter(command, find_account("nobody"), end_with_parent)
    child.feed(b"", b"")
    finished = child.finish(
        time.monotonic() + 20, most=2, kept=lambda piece: piece.replace(b"\0", b"")
    )
    assert finished.output == b"x\n"


def test_a_program_that_does_not_end_is_ended(program: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(ProgramFailed, match=r"^the program did not finish in time"):
        run(script(program, "trap '' TERM; while :; do sleep 1; done"), seconds=0.3)
    assert 0.3 <= time.monotonic() - begun < 30


def test_a_program_that_says_too_much_is_ended(program: Path) -> None:
    """A megabyte of status lines, as of output."""
    for descriptor in (1, 3):
        with pytest.raises(ProgramFailed, match=f"more than {MAX_OUTPUT} bytes"):
            run(script(program, f"head -c 1048576 /dev/zero >&{descriptor}; sleep 60"))


def test_what_does_not_fit_into_a_pipe_is_refused(program: Path) -> None:
    with pytest.raises(ProgramFailed, match="does not read its input"):
        run(script(program, "sleep 60"), stdin=b"x" * (LARGEST_PIPE + 1))


@pytest.mark.parametrize("call", ["fork", "pidfd_open", "pipe"])
def test_no_process_to_be_had(call: str, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a process without a pidfd: it ends with its lifeline."""

    def fail(*arguments: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, call, fail)
    child = Filter()
    with pytest.raises(NotStarted, match=f"{program}: {call}: Too many open files"):
        child.start_filter([str(script(program, "sleep 60"))], find_account("nobody"),
                           end_with_parent)  # fmt: skip
    assert child.end() in (None, 1, -signal.SIGKILL)
