"""A program as another account: what it starts with, and that it ends."""

from __future__ import annotations

import ast
import errno
import os
import pwd
import select
import signal
import time
from typing import TYPE_CHECKING

import pytest

import trex.system.child
from tests.support.forked import in_a_child
from tests.support.programs import run, script
from trex.errors import NotStarted
from trex.system.child import (
    ENVIRONMENT,
    LARGEST_PIPE,
    Child,
    _ends,
    end_with_parent,
    lost,
    write_whole,
)
from trex.system.privilege import find_account

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else"),
    pytest.mark.usefixtures("nothing_is_left"),
]
NOBODY = pwd.getpwnam("nobody")


def test_what_a_program_starts_with(program: Path) -> None:
    """Advisories CVE-2018-9275 and CVE-2019-12210: no descriptor but its own."""

    def start() -> tuple[int | None, bytes, bytes]:
        os.dup2(os.open("/etc/shadow", os.O_RDONLY), 77, inheritable=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGCHLD))
        for number in (signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        finished = run(program)
        return finished.code, finished.output, finished.status

    code, output, status = in_a_child(start)
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert code is None, "the kernel has reaped it for this caller"
    assert status == b"status"
    told = ast.literal_eval(output.decode())
    assert told[:3] == [(uid,) * 3, (gid,) * 3, os.getgrouplist("nobody", gid)]
    assert told[3] == ENVIRONMENT
    assert told[4:7] == ["/", 0o077, True]
    assert told[7] == [0, 1, 2, 3, 4, 5]
    assert told[8:10] == [True, "/dev/null"]
    assert not int(told[10][0], 16) & 1 << signal.SIGCHLD - 1
    assert told[11:] == [b"in", b"told"]


def test_no_signal_is_ignored(program: Path) -> None:
    """A shell, because Python ignores SIGPIPE by itself."""
    output = run(script(program, "grep SigIgn /proc/self/status")).output
    assert int(output.split()[1], 16) & (1 << signal.SIGPIPE - 1) == 0


def test_a_program_starts_although_standard_descriptors_are_closed(program: Path) -> None:
    def start() -> tuple[int | None, bytes]:
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        finished = run(program)
        return finished.code, finished.output

    code, output = in_a_child(start)
    assert code == 0
    assert b"'/dev/null'" in output


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9)])
def test_exit_statuses(text: str, code: int, program: Path) -> None:
    assert run(script(program, text)).code == code


def test_what_cannot_be_started(program: Path) -> None:
    program.chmod(0o600)
    with pytest.raises(NotStarted, match=f"{program}: run: Permission denied"):
        run(program)
    with pytest.raises(NotStarted, match="run: No such file or directory"):
        run(program.with_name("nothing"))


def test_who_cannot_become_the_account_starts_nothing(program: Path) -> None:
    def start() -> str:
        os.setresuid(1, 1, 1)
        child = Child()
        child.start([str(program)], find_account("nobody"), end_with_parent, {})
        told = os.read(child.status, 999)
        assert child.end() == 127
        with pytest.raises(NotStarted) as error:
            child.check_started(told)
        return str(error.value)

    assert in_a_child(start).endswith("become nobody: PrivilegeError")


def test_write_whole() -> None:
    source, sink = os.pipe()
    assert write_whole(sink, b"x" * 4096)
    assert not write_whole(sink, b"x" * (LARGEST_PIPE + 1)), "in part"
    assert not write_whole(sink, b"x" * 4096), "full"
    os.close(source)
    os.close(sink)


def test_a_lifeline_ends_the_whole_group() -> None:
    lifeline, other_end = os.pipe()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(other_end)
            os.setsid()
            end_with_parent(lifeline)
            os.write(tell, b"%d" % os.getpid())
            signal.pause()
        finally:
            os._exit(0)
    assert int(os.read(told, 99)) == child
    assert os.waitpid(child, os.WNOHANG) == (0, 0)
    os.close(other_end)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    for descriptor in (lifeline, told, tell):
        os.close(descriptor)


def test_a_lifeline_that_was_cut_before() -> None:
    lifeline, other_end = os.pipe()
    assert not lost(lifeline, 0)
    os.close(other_end)
    assert lost(lifeline, 0)
    child = os.fork()
    if child == 0:
        os.setsid()
        end_with_parent(lifeline)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (1, -signal.SIGKILL)
    os.close(lifeline)


def test_an_end_that_cannot_be_seen_is_made(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """poll(2) may lack memory: then kill, and leave neither a zombie nor a descriptor."""
    child = Child()
    child.start([str(script(program, "sleep 60"))], find_account("nobody"), lambda _: None, {})
    answers = iter([False, True])

    def ends(pidfd: int, _pid: int) -> bool:
        return next(answers) and bool(os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT))

    monkeypatch.setattr("trex.system.child._ends", ends)
    assert child.end() == -signal.SIGKILL
    assert child.end() is None


LONG_MS = 60_000  # what nobody waits for here


def test_an_end_is_quick_and_for_the_whole_group(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the lifeline, without waiting for a timeout."""
    monkeypatch.setattr("trex.system.child.GRACE_MS", LONG_MS)
    child = Child()
    told, tell = child.pipe()
    nobody = find_account("nobody")
    child.start([str(script(program, "echo x >&6; sleep 60"))], nobody, end_with_parent, {6: tell})
    assert os.read(told, 1) == b"x", "it runs"
    begun = time.monotonic()
    assert child.end() == -signal.SIGKILL
    assert time.monotonic() - begun < LONG_MS / 2000


def test_who_has_ended_is_waited_for_no_longer(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trex.system.child.GRACE_MS", LONG_MS)
    child = Child()
    child.start([str(script(program, "exit 3"))], find_account("nobody"), end_with_parent, {})
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
    begun = time.monotonic()
    assert child.end() == 3
    assert time.monotonic() - begun < LONG_MS / 2000
    assert child.end() is None, "nothing happens"


def test_a_descriptor_is_closed_once() -> None:
    child = Child()
    first, second = child.pipe()
    child.close(first)
    another = os.open("/dev/null", os.O_RDONLY)
    assert another == first, "its number is in use again"
    child.close(first)
    os.fstat(another)
    os.close(another)
    child.close(second)


def test_who_is_not_ended_by_the_lifeline_and_has_no_pidfd_is_not_waited_for(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process whose file system does not answer: SIGKILL waits there for ever."""

    def fail(_pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    child = Child()
    told, tell = child.pipe()
    command = [str(script(program, "echo $$ >&6; exec sleep 60"))]
    monkeypatch.setattr(os, "pidfd_open", fail)
    with pytest.raises(NotStarted):
        child.start(command, find_account("nobody"), lambda _: None, {6: tell})
    pid = int(os.read(told, 20))
    monkeypatch.setattr("trex.system.child.GRACE_MS", 100)
    begun = time.monotonic()
    assert child.end() is None
    assert child.lingers
    assert time.monotonic() - begun < 10
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.parametrize(("text", "has_ended"), [("exit 0", True), ("sleep 60", False)])
def test_an_end_that_poll_cannot_see(
    text: str, has_ended: bool, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poll:
        def register(self, descriptor: int, events: int) -> None: ...

        def poll(self, milliseconds: int) -> list[tuple[int, int]]:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

    child = Child()
    child.start([str(script(program, text))], find_account("nobody"), end_with_parent, {})
    if has_ended:
        os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
    with monkeypatch.context() as patch:
        patch.setattr(select, "poll", Poll)
        patch.setattr("trex.system.child.GRACE_MS", LONG_MS if has_ended else 300)
        begun = time.monotonic()
        assert _ends(child.pidfd, child._pid) is has_ended
        assert (0 if has_ended else 0.29) <= time.monotonic() - begun < LONG_MS / 2000
        assert child.end() == (0 if has_ended else -signal.SIGKILL)


@pytest.mark.parametrize(("deadline", "milliseconds"), [(110.5, 10_501), (100.0, 1), (99.0, 0)])
def test_poll_waits_until_the_deadline_and_not_for_ever(
    deadline: float, milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A negative number would have no end (poll(2))."""
    monkeypatch.setattr(trex.system.child, "monotonic", lambda: 100.0)
    assert trex.system.child.milliseconds_until(deadline) == milliseconds
