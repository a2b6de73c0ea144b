"""A program that the client runs: what it says arrives whole, and it has a certain end."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

import pytest

from trex.cli.client.child import MAX_OUTPUT, PIECE, RunningProgram

SH = "/bin/sh"
LATE = 60  # seconds; a machine under load


def run(script: str, given: bytes = b"", seconds: float = LATE) -> RunningProgram:
    child = RunningProgram([SH, "-c", script, "sh", "{status}"], given)
    child.finish(seconds)
    return child


def test_what_it_says_arrives_by_stream() -> None:
    child = run("echo out; echo err >&2; echo told >&$1; exit 3")
    assert (child.output, child.words, child.status) == (b"out\n", b"err\n", b"told\n")
    assert child.returncode == 3


def test_it_gets_what_it_is_given_whole_and_may_leave_it() -> None:
    """More than a pipe holds, in both directions at the same time."""
    given = os.urandom(1 << 20)
    assert run("cat", given).output == given
    assert run("exec true", given).returncode == 0


def test_one_that_writes_without_end_is_read_on_and_kept_in_part() -> None:
    """A message of a few KB can make gigabytes: they must cost neither memory nor time squared."""
    child = run("head -c 200000000 /dev/zero")
    assert MAX_OUTPUT < len(child.output) < MAX_OUTPUT + 2 * PIECE
    assert child.returncode == 0


def test_it_ends_at_its_deadline_with_everything_that_it_holds_open() -> None:
    begun = time.monotonic()
    child = RunningProgram([SH, "-c", "echo begun; exec sleep 600"])
    assert select.select(child._reading, [], [], LATE)[0], "it runs"
    child.finish(0.2)
    assert (child.returncode, child.output) == (-signal.SIGKILL, b"begun\n")
    assert time.monotonic() - begun < LATE
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_one_that_has_closed_its_streams_ends_at_its_deadline_too() -> None:
    assert run('exec >&- 2>&-; eval "exec $1>&-"; exec sleep 600', seconds=0.5).returncode == -9


def test_it_ends_where_something_is_raised_meanwhile() -> None:
    child = RunningProgram([SH, "-c", "echo x >&$1; exec sleep 600", "sh", "{status}"])

    def fail(line: bytes) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt):
        child.finish(LATE, fail)
    assert child.returncode == -signal.SIGKILL


def test_each_status_line_is_heard_once_however_it_arrives() -> None:
    heard: list[bytes] = []
    child = RunningProgram(
        [SH, "-c", "printf 'o' >&$1; sleep 0.1; printf 'ne\\ntwo\\nrest' >&$1", "sh", "{status}"]
    )
    child.finish(LATE, heard.append)
    assert heard == [b"one", b"two"]
    assert child.status == b"one\ntwo\nrest"


def test_who_waits_is_told_once_that_it_takes_long(tmp_path: Path) -> None:
    late: list[str] = []
    until = tmp_path / "until"
    os.mkfifo(until)

    def tell() -> None:
        late.append("late")
        until.write_bytes(b"")

    child = RunningProgram(["/bin/cat", str(until)])
    child.finish(LATE, soon=0.1, late=tell)
    assert (late, child.returncode) == (["late"], 0)
    quick = RunningProgram(["/bin/true"])
    quick.finish(LATE, soon=LATE, late=lambda: late.append("never"))
    assert late == ["late"]


def test_it_inherits_no_pipe_of_anybody_else() -> None:
    other = RunningProgram(["/bin/cat"], b"x" * (1 << 20))
    reading, writing = os.pipe()
    try:
        pipes = {os.stat(end).st_ino for end in (reading, writing, *other._reading, other._writing)}
        listed = run("ls -l /proc/self/fd").output.decode()
        assert "pipe:" in listed
        assert not [inode for inode in pipes if f"pipe:[{inode}]" in listed]
    finally:
        other.end()
        os.close(reading)
        os.close(writing)


def test_one_that_somebody_else_has_reaped_has_not_succeeded() -> None:
    """A program that uses `trex.client` may wait for all its children."""
    child = RunningProgram([SH, "-c", "exit 0"])
    os.waitpid(child._pid, 0)
    child.finish(LATE)
    assert child.returncode == 255


def test_a_program_that_is_not_there_leaves_nothing_open() -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="No such file"):
        RunningProgram(["/no/such/program", "{status}"], b"x")
    assert os.listdir("/proc/self/fd") == before
