"""The process between a login and gpg: what it keeps, and that all ends with it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from trex.system import supervisor
from trex.system.prctl import SET_CHILD_SUBREAPER, SET_PDEATHSIG, prctl
from trex.system.supervisor import end_descendants, supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ALL = (1 << 31) - 1  # signals; 32 and 33 are the C library's own (nptl(7))
PATIENCE = 20_000  # milliseconds; a busy machine


class Home:
    """A directory instead of a PrivateHome."""

    def __init__(self, path: Path, fill: Callable[[], object]) -> None:
        self._path, self._fill = path, fill

    def fill(self) -> None:
        self._fill()
        self._path.mkdir()
        os.chdir(self._path)

    def remove(self) -> None:
        os.chdir("/")
        self._path.rmdir()


class Supervised:
    """A program under a supervisor, both forked from here, and the lifeline that this side holds."""

    def __init__(self, directory: Path, program: Callable[[int], object],
                 before: Callable[[], object] = lambda: None, home: str = "home",
                 seconds: float = PATIENCE, fill: Callable[[], object] = lambda: None,
                 ) -> None:  # fmt: skip
        lifeline, self.held = os.pipe()
        self.report, sink = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for descriptor in map(int, os.listdir("/proc/self/fd")):
                    if descriptor not in (0, 1, 2, lifeline, sink):  # another's lifeline, say
                        with suppress(OSError):
                            os.close(descriptor)
                os.setsid()
                before()
                supervised(Home(directory / home, fill), time.monotonic() + seconds)(lifeline)
                program(sink)
                os._exit(0)
            finally:
                os._exit(99)
        os.close(lifeline)
        os.close(sink)
        self.pidfd = os.pidfd_open(self.pid)

    def read(self) -> list[int]:
        """Return the numbers that were written, once all who could write have ended or closed it."""
        text = b""
        while more := os.read(self.report, 4096):
            text += more
        return [int(word) for word in text.split()]

    def first(self) -> int:
        """Return the first number that is written."""
        text = b""
        while not text.endswith(b" "):
            more = os.read(self.report, 1)
            assert more, "nothing was written"
            text += more
        return int(text)

    def cut(self) -> None:
        """End the login."""
        if self.held >= 0:
            os.close(self.held)
        self.held = -1

    def ended(self, milliseconds: int = PATIENCE) -> bool:
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def code(self) -> int:
        assert self.ended(), "it has an end"
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return code

    def close(self) -> None:
        self.cut()
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        os.close(self.report)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    begun = []

    def start(program: Callable[[int], object], **options: object) -> Supervised:
        begun.append(Supervised(tmp_path, program, **options))  # type: ignore[arg-type]
        return begun[-1]

    before = os.listdir("/proc/self/fd")
    yield start
    for one in begun:
        one.close()
    assert os.listdir("/proc/self/fd") == before


def say(sink: int, *numbers: int) -> None:
    os.write(sink, "".join(f"{number} " for number in numbers).encode())


def wait(*_: object) -> None:
    while True:
        signal.pause()


def waiting(sink: int) -> None:
    say(sink, os.getpid())
    wait()


def state(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def gone(pid: int) -> bool:
    """Tell whether a process ends that is nobody's child here."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        return bool(poll.poll(PATIENCE))
    finally:
        os.close(pidfd)


@pytest.mark.parametrize(
    ("program", "code"),
    [(lambda _: os._exit(0), 0), (lambda _: os._exit(7), 7), (lambda _: os.kill(os.getpid(), 9), 137),
     (lambda _: os.kill(os.getpid(), 15), 143)],
)  # fmt: skip
def test_its_exit_status_is_the_program_s(
    begin: Callable[..., Supervised], program: Callable[[int], None], code: int
) -> None:
    assert begin(program).code() == code


def test_the_program_is_its_child_and_it_adopts_what_that_starts(
    begin: Callable[..., Supervised],
) -> None:
    def start(sink: int) -> None:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while os.getppid() != int(state(program)["PPid"]):
                    time.sleep(0.01)
                say(sink, os.getpid(), os.getppid())
                wait()
            os._exit(0)
        wait()

    program = 0

    def start_known(sink: int) -> None:
        nonlocal program
        program = os.getpid()
        start(sink)

    one = begin(start_known)
    daemon = one.first()
    assert one.first() == one.pid
    one.cut()
    assert one.code() == 137
    assert gone(daemon)


def test_when_the_program_ends_its_daemons_end_politely(
    begin: Callable[..., Supervised], monkeypatch: pytest.MonkeyPatch
) -> None:
    """gpg-agent removes its sockets then."""
    monkeypatch.setattr(supervisor, "TERMINATION_SECONDS", PATIENCE / 1000)

    def start(sink: int) -> None:
        ready, steady = os.pipe()
        if os.fork() == 0:
            os.setsid()

            def end(*_: object) -> None:
                say(sink, 15)
                os._exit(0)

            signal.signal(signal.SIGTERM, end)
            os.write(steady, b".")
            wait()
        os.read(ready, 1)
        os._exit(3)

    one = begin(start)
    assert one.read() == [15]
    assert one.code() == 3


def test_what_does_not_end_politely_is_killed_and_all_of_it(
    begin: Callable[..., Supervised],
) -> None:
    def start(sink: int) -> None:
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                if os.fork() == 0:
                    waiting(sink)
                waiting(sink)
        os._exit(0)

    begun = time.monotonic()
    one = begin(start)
    numbers = one.read()
    assert len(set(numbers)) <= 6
    assert one.code() == 0
    assert all(gone(number) for number in numbers)
    assert time.monotonic() - begun < 30


def test_when_the_login_ends_the_program_ends(begin: Callable[..., Supervised]) -> None:
    one = begin(waiting)
    program = one.first()
    one.cut()
    assert one.code() == 128 + signal.SIGKILL
    assert gone(program)


def test_when_the_supervisor_is_killed_the_program_ends(begin: Callable[..., Supervised]) -> None:
    """Any process of the user can do that: gpg must not continue unwatched."""
    one = begin(waiting)
    program = one.first()
    os.kill(one.pid, signal.SIGKILL)
    assert gone(program)


def test_a_program_whose_supervisor_has_ended_before_it_could_follow_does_not_run(
    begin: Callable[..., Supervised], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PR_SET_PDEATHSIG reports a later death of the parent, not an earlier one (prctl(2))."""
    own = 0

    def note() -> None:
        nonlocal own
        own = os.getpid()

    def kill_first(option: int, value: int) -> None:
        if option == SET_PDEATHSIG and os.getppid() == own:
            os.kill(own, signal.SIGKILL)
            while os.getppid() == own:
                time.sleep(0.005)
        prctl(option, value)

    monkeypatch.setattr(supervisor, "prctl", kill_first)
    program = begin(lambda sink: say(sink, 1), before=note)
    assert program.read() == [], "it did not get as far as the program"


def test_it_has_no_handler_of_the_caller_s_and_ignores_nothing(
    begin: Callable[..., Supervised],
) -> None:
    """There is no exec that would forget them: a signal would run the caller's code here."""

    def prepare() -> None:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if number < signal.SIGRTMIN:
                signal.signal(number, signal.SIG_IGN if number % 2 else lambda *_: os._exit(0))

    one = begin(waiting, before=prepare)
    program = one.first()
    for pid in (one.pid, program):
        facts = state(pid)
        assert int(facts["SigCgt"], 16) & ALL == 0
        assert int(facts["SigIgn"], 16) & ALL == 0


def test_the_program_runs_in_its_home_which_goes_when_all_has_ended(
    begin: Callable[..., Supervised], tmp_path: Path
) -> None:
    def look(sink: int) -> None:
        say(sink, int(os.getcwd() == str(tmp_path / "home")), os.getpid())
        wait()

    one = begin(look)
    assert one.first() == 1
    program = one.first()
    assert (tmp_path / "home").is_dir()
    one.cut()
    assert gone(program)
    assert one.code() == 137
    assert not (tmp_path / "home").exists()


def test_two_logins_of_one_account_wait_for_neither_other(
    begin: Callable[..., Supervised],
) -> None:
    first = begin(waiting, home="first")
    first.first()
    second = begin(lambda sink: say(sink, 1), home="second")
    assert second.read() == [1]
    assert second.code() == 0
    assert not first.ended(0)


def test_when_time_is_up_the_program_ends_also_where_the_login_is_stopped(
    begin: Callable[..., Supervised], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller of su can stop it: its end of the lifeline stays open."""
    ends: list[int] = []

    def run(sink: int) -> None:
        say(sink, os.getpid())
        os.write(ends[1], b".")
        wait()

    def until(deadline: float) -> int:
        """Have the time be up when the program runs."""
        os.read(ends[0], 1)
        return 1 if 900 < deadline - time.monotonic() <= 1000 else -1

    monkeypatch.setattr(supervisor, "milliseconds_until", until)
    one = begin(run, seconds=1000, before=lambda: ends.extend(os.pipe()))
    program = one.first()
    assert one.code() == 128 + signal.SIGKILL
    assert gone(program)


def test_a_home_that_is_never_filled_ends_with_the_time(
    begin: Callable[..., Supervised], tmp_path: Path
) -> None:
    """The account's keys may be on a file system that does not answer."""
    os.mkfifo(tmp_path / "silent")
    one = begin(lambda sink: say(sink, 1), seconds=0.3,
                fill=lambda: os.close(os.open(tmp_path / "silent", os.O_RDONLY)))  # fmt: skip
    assert one.code() == -signal.SIGALRM
    assert one.read() == []


def test_the_clock_for_filling_a_home_stops_when_it_is_filled(
    begin: Callable[..., Supervised], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise it would end the supervisor, but not the daemons. fork(2) does not inherit timers."""

    def note() -> None:
        (tmp_path / "left").write_text(str(signal.getitimer(signal.ITIMER_REAL)))

    def prepare() -> None:
        monkeypatch.setattr(supervisor, "end_descendants", note)

    assert begin(lambda _: None, before=prepare).code() == 0
    assert (tmp_path / "left").read_text() == "(0.0, 0.0)"


def test_a_program_that_cannot_be_watched_is_ended(
    begin: Callable[..., Supervised], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> int:
        raise OSError(24, "Too many open files")

    def program(sink: int) -> None:
        say(sink, os.getpid())
        wait()

    one = None

    def prepare() -> None:
        monkeypatch.setattr(os, "pidfd_open", refuse)

    one = begin(program, before=prepare)
    pids = one.read()
    assert one.code() == 99
    assert all(gone(pid) for pid in pids)


def adopting(work: Callable[[int], object]) -> list[int]:
    """Run `work` in a process that adopts, and return what it says."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prctl(SET_CHILD_SUBREAPER, 1)
            signal.alarm(40)
            work(sink)
        finally:
            os._exit(0)
    os.close(sink)
    with open(source, "rb") as stream:
        numbers = [int(word) for word in stream.read().split()]
    os.waitpid(child, 0)
    return numbers


def sleepers(count: int) -> list[int]:
    found = []
    for _ in range(count):
        found.append(os.fork())
        if found[-1] == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            wait()
    return found


def left() -> int:
    """Return 1 if this process has children, ended or not."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0
    return 1


def test_children_end_also_where_proc_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """If /proc is not mounted, or hides them, they are searched for by their pids."""

    def fail(*_: object) -> list[str]:
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", fail)

    def work(sink: int) -> None:
        sleepers(3)
        end_descendants()
        say(sink, left())

    begun = time.monotonic()
    assert adopting(work) == [0]
    assert time.monotonic() - begun < 30


def test_a_child_whose_number_came_after_the_largest_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pids wrap around to 300; one that is far from its parent's is found only there."""
    assert (supervisor.FIRST_AGAIN, supervisor.NEARBY) == (300, 8192)

    def work(sink: int) -> None:
        child = sleepers(1)[0]
        asked: list[int] = []

        def is_child(number: int) -> bool:
            asked.append(number)
            return number == child

        monkeypatch.setattr(supervisor, "_is_child", is_child)
        monkeypatch.setattr(os, "getpid", lambda: child + 1)
        monkeypatch.setattr(supervisor, "FIRST_AGAIN", child)
        assert supervisor._searched_children() == [child]
        own = child + 1
        expected = [*range(own + 1, own + 8192), *range(child, child + 8192)]
        say(sink, int(asked == expected))
        os.kill(child, signal.SIGKILL)

    assert adopting(work) == [1]


def test_only_one_s_own_children_are_ended_and_not_theirs_that_have_a_parent() -> None:
    def work(sink: int) -> None:
        stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
        source, ready = os.pipe()
        child = os.fork()
        if child == 0:
            grandchild = sleepers(1)[0]
            os.write(ready, str(grandchild).encode())
            wait()
        grandchild = int(os.read(source, 20))
        own = supervisor._listed_children()
        say(sink, int(sorted(own) == sorted([stranger.pid, child])), int(supervisor._is_child(grandchild)),
            int(supervisor._is_child(child)), int(supervisor._is_child(os.getpid())))  # fmt: skip
        end_descendants()
        say(sink, left(), int(gone(grandchild)))

    assert adopting(work) == [1, 0, 1, 0, 0, 1]


def test_a_child_that_has_ended_is_reaped_and_none_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "TERMINATION_SECONDS", 10.0)

    def work(sink: int) -> None:
        begun = time.monotonic()
        end_descendants()
        for _ in range(5):
            if os.fork() == 0:
                os._exit(0)
        end_descendants()
        say(sink, left(), int(time.monotonic() - begun > 15))

    assert adopting(work) == [0, 0]


def test_what_has_ended_stays_a_child_until_all_of_it_is_reaped_at_once() -> None:
    """Whoever asks must not reap: the number could be another's when a signal is sent to it."""

    def work(sink: int) -> None:
        children = []
        for _ in range(3):
            children.append(os.fork())
            if children[-1] == 0:
                os._exit(0)
            os.waitid(os.P_PID, children[-1], os.WEXITED | os.WNOWAIT)
        asked = [supervisor._is_child(child) for child in children * 2]
        say(sink, int(all(asked)), int(supervisor._has_children() is False), left())

    assert adopting(work) == [1, 1, 0]


def test_a_child_that_may_not_be_ended_holds_nobody_up_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A set-user-ID program in an agent's settings: after two waits the supervisor continues."""

    def refuse(*_: int) -> None:
        raise PermissionError

    kill = os.kill
    assert supervisor.TERMINATION_SECONDS == 0.9
    monkeypatch.setattr(supervisor, "TERMINATION_SECONDS", 0.2)

    def work(sink: int) -> None:
        child = sleepers(1)[0]
        monkeypatch.setattr(os, "kill", refuse)
        begun = time.monotonic()
        end_descendants()
        took = time.monotonic() - begun
        say(sink, int(0.4 <= took < 10))
        kill(child, signal.SIGKILL)

    assert adopting(work) == [1]


def test_whose_child_a_process_is() -> None:
    assert supervisor._parent(str(os.getpid())) == os.getppid()
    assert supervisor._parent("0") == supervisor._parent("none") == 0
    source = os.listdir("/proc/self/fd")
    named = subprocess.Popen(["/bin/sh", "-c", "exec -a x sleep 60 2>/dev/null || sleep 60"])
    try:
        assert supervisor._parent(str(named.pid)) == os.getpid()
    finally:
        named.kill()
        named.wait()
    assert os.listdir("/proc/self/fd") == source
