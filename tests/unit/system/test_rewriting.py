"""Of several writers that read the same file, one replaces it, wherever any of them is stopped."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import threading
import time
from contextlib import suppress
from itertools import combinations
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from trex.system import rewriting
from trex.system.rewriting import MOST, TRIES, Overtaken, name_beside, replace, take_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BEFORE = b"before\n"
# What a writer does that others can see, each in one step of the kernel's.
STEPS = ("mkdir", "open", "scandir", "stat", "rename", "link", "unlink", "rmdir")
ALL_STEPS = 8  # mkdir, open twice, scandir, stat, rename, unlink, rmdir: without another's file


class Writer(threading.Thread):
    """A thread that replaces a file, and waits before each step until it is told to go on."""

    def __init__(self, path: Path, content: bytes, *, make: bool = False) -> None:
        super().__init__(daemon=True)
        self._name, self._content = path.name, content
        self._directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        self._read = None if make else os.lstat(path)
        self._may, self._waits = threading.Semaphore(0), threading.Semaphore(0)
        self._is_free = False
        self.outcome = ""
        self.start()
        self._waits.acquire()

    def run(self) -> None:
        try:
            rewriting.replace_in(self._directory, self._name, self._read, self._content)
            self.outcome = "replaced"
        except Overtaken:
            self.outcome = "overtaken"
        except BaseException as error:  # noqa: BLE001 (the test looks)
            self.outcome = repr(error)
        finally:
            os.close(self._directory)
        self._waits.release()

    def wait_for_turn(self) -> None:
        if not self._is_free:
            self._waits.release()
            self._may.acquire()

    def step(self) -> None:
        """Go on up to the next step, or to the end."""
        if not self.outcome:
            self._may.release()
            self._waits.acquire()

    def finish(self) -> str:
        while not self.outcome:
            self.step()
        self.join(10)
        return self.outcome


@pytest.fixture
def stepping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each writer wait before each step that others can see."""

    def stepwise(function: Callable[..., object]) -> Callable[..., object]:
        def wait(*arguments: object, **named: object) -> object:
            writer = threading.current_thread()
            if isinstance(writer, Writer):
                writer.wait_for_turn()
            return function(*arguments, **named)

        return wait

    functions = {name: getattr(os, name) for name in dir(os) if not name.startswith("__")}
    functions |= {name: stepwise(getattr(os, name)) for name in STEPS}
    monkeypatch.setattr(rewriting, "os", SimpleNamespace(**functions))
    monkeypatch.setattr(rewriting, "sleep", lambda _: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(BEFORE)
    path.chmod(0o600)
    return path


@pytest.fixture
def nothing_beside(path: Path) -> Iterator[None]:
    yield
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.usefixtures("stepping", "nothing_beside")
@pytest.mark.parametrize("make", [False, True])
def test_in_whatever_order_two_writers_take_their_steps_one_at_most_replaces_it(
    path: Path, make: bool
) -> None:
    """A's first five steps anywhere among the first eleven: 462 orders."""
    outcomes = set()
    for places in combinations(range(11), 5):
        path.unlink(missing_ok=True)
        if not make:
            path.write_bytes(BEFORE)
        a, b = Writer(path, b"A", make=make), Writer(path, b"B", make=make)
        for turn in range(11):
            (a if turn in places else b).step()
        outcome = a.finish(), b.finish()
        outcomes.add(outcome)
        assert set(outcome) <= {"replaced", "overtaken"}, outcome
        assert outcome.count("replaced") <= 1, places
        expected = {"replaced overtaken": b"A", "overtaken replaced": b"B"}
        left = path.read_bytes() if path.exists() else b""
        assert left == expected.get(" ".join(outcome), b"" if make else BEFORE)
        path.write_bytes(BEFORE)
    assert {("replaced", "overtaken"), ("overtaken", "replaced")} <= outcomes


@pytest.mark.usefixtures("stepping", "nothing_beside")
@pytest.mark.parametrize("steps", range(ALL_STEPS + 1))
def test_a_writer_that_is_stopped_holds_nobody_up_and_comes_too_late(
    path: Path, steps: int
) -> None:
    stopped = Writer(path, b"stopped")
    for _ in range(steps):
        stopped.step()
    was_replaced = path.read_bytes() == b"stopped"
    for content in (b"second", b"third"):
        assert Writer(path, content).finish() == "replaced"
    assert stopped.finish() == ("replaced" if was_replaced else "overtaken")
    assert path.read_bytes() == b"third"


@pytest.mark.usefixtures("stepping", "nothing_beside")
@pytest.mark.parametrize("first", range(ALL_STEPS))
@pytest.mark.parametrize("second", range(ALL_STEPS))
def test_two_that_are_stopped_cannot_bring_back_what_was_replaced(
    path: Path, first: int, second: int
) -> None:
    """Otherwise a user with two su of their own could undo what later logins have counted."""
    writers = [Writer(path, b"first"), Writer(path, b"second")]
    for writer, steps in zip(writers, (first, second), strict=True):
        for _ in range(steps):
            writer.step()
    late = Writer(path, b"late")
    assert late.finish() == "replaced"
    for turn in range(2 * ALL_STEPS):
        writers[turn % 2].step()
    assert [writer.finish() for writer in writers].count("replaced") <= (
        1 if max(first, second) >= ALL_STEPS - 2 else 0
    )
    assert path.read_bytes() == b"late"


@pytest.mark.usefixtures("nothing_beside", "impatient")
def test_a_turn_is_waited_for_and_not_for_long(path: Path) -> None:
    with path.open() as other, path.open() as mine:
        fcntl.flock(other, fcntl.LOCK_EX)
        started = time.monotonic()
        assert not take_turn(mine.fileno(), started + 0.1)
        assert 0.1 <= time.monotonic() - started < 30
        fcntl.flock(other, fcntl.LOCK_UN)
        assert take_turn(mine.fileno(), started)


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_where_there_are_no_locks_there_is_no_turn_to_wait_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with path.open() as mine:
        assert not take_turn(mine.fileno(), time.monotonic() + 1000)


@pytest.mark.usefixtures("nothing_beside")
def test_what_a_crash_has_left_is_taken_away(path: Path) -> None:
    beside = path.with_name(name_beside("file"))
    beside.mkdir(mode=0o700)
    (beside / "left").write_bytes(b"half")
    replace(str(path), path.lstat(), b"after")
    assert path.read_bytes() == b"after"


@pytest.mark.parametrize("what", ["a link", "a file"])
def test_what_was_planted_beside_is_no_place_to_write(
    path: Path, tmp_path: Path, what: str
) -> None:
    beside, elsewhere = path.with_name(name_beside("file")), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(b"precious")
    if what == "a link":
        beside.symlink_to(elsewhere)
    else:
        beside.touch()
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        replace(str(path), path.lstat(), b"after")
    assert path.read_bytes() == BEFORE
    assert (elsewhere / "precious").read_bytes() == b"precious"
    assert [entry.name for entry in elsewhere.iterdir()] == ["precious"]


@pytest.mark.usefixtures("nothing_beside")
def test_however_many_files_were_left_a_few_tries_take_them_away(path: Path) -> None:
    """Each login that is killed at the right moment may leave one: it never blocks the next login."""
    beside = path.with_name(name_beside("file"))
    beside.mkdir(mode=0o700)
    for number in range(2 * MOST):
        (beside / str(number)).touch()
    for _ in range(2):
        with pytest.raises(Overtaken):
            replace(str(path), path.lstat(), b"after")
        assert path.read_bytes() == BEFORE
    replace(str(path), path.lstat(), b"after")
    assert path.read_bytes() == b"after"


@pytest.mark.parametrize("was_pending", [False, True])
def test_a_limit_on_files_is_an_error_and_no_end(path: Path, was_pending: bool) -> None:
    """The caller of su can set RLIMIT_FSIZE: SIGXFSZ would end it, and leave its file beside."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if was_pending:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGXFSZ])
            os.kill(os.getpid(), signal.SIGXFSZ)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        try:
            replace(str(path), path.lstat(), b"after")
        except OSError as error:
            os.write(write, os.strerror(error.errno or 0).encode())
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        is_as_before = (signal.SIGXFSZ in blocked) == was_pending
        os._exit(signal.SIGXFSZ in signal.sigpending() if is_as_before else 2)
    assert os.waitpid(pid, 0)[1] == was_pending << 8
    os.close(write)
    assert os.read(read, 99) == b"File too large"
    os.close(read)
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == BEFORE


@pytest.mark.usefixtures("nothing_beside")
def test_however_many_are_killed_as_they_write_one_file_is_left(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_: int) -> None:
        os._exit(1)

    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(5):
        if (pid := os.fork()) == 0:
            replace(str(path), path.lstat(), b"after")
        assert os.waitpid(pid, 0)[1] == 1 << 8
        assert len(list(path.with_name(name_beside("file")).iterdir())) == 1
    monkeypatch.undo()
    replace(str(path), path.lstat(), b"after")
    assert path.read_bytes() == b"after"


@pytest.mark.usefixtures("nothing_beside")
def test_a_file_that_is_there_is_not_made(path: Path) -> None:
    with pytest.raises(Overtaken):
        replace(str(path), None, b"new")
    assert path.read_bytes() == BEFORE


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOSPC])
def test_where_no_file_can_be_made_beside_nothing_is_left_open(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Also if the directory is removed each time: the number of attempts is limited."""
    original, before = os.open, len(os.listdir("/proc/self/fd"))

    def fail(name: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number))
        return original(name, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", fail)
    monkeypatch.setattr(rewriting, "sleep", lambda _: None)
    expected = errno.EAGAIN if number == errno.ENOENT else number
    with pytest.raises(OSError, match=os.strerror(expected)):
        replace(str(path), path.lstat(), b"after")
    monkeypatch.undo()
    assert path.read_bytes() == BEFORE
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_signal_of_a_limit_that_was_pending_before_stays_pending(path: Path) -> None:
    """It is the caller's, whether or not this write meets the limit too."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGXFSZ])
        os.kill(os.getpid(), signal.SIGXFSZ)
        replace(str(path), path.lstat(), b"after")
        os.write(write, b"pending" if signal.SIGXFSZ in signal.sigpending() else b"gone")
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    assert os.read(read, 99) == b"pending"
    os.close(read)


def test_nobody_else_may_enter_the_directory_beside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    monkeypatch.setattr(
        os, "fsync", lambda _: modes.append(path.with_name(name_beside("file")).stat().st_mode)
    )
    before = os.umask(0)
    try:
        with suppress(OSError):
            replace(str(path), path.lstat(), b"after")
    finally:
        os.umask(before)
    assert oct(modes[0]) == oct(stat.S_IFDIR | 0o700)


def test_a_file_beside_with_the_new_files_name_is_not_written_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a hard link to any file that its writer chose."""
    beside, other = path.with_name(name_beside("file")), path.with_name("other")
    beside.mkdir(mode=0o700)
    other.write_bytes(b"another's")
    monkeypatch.setattr(os, "urandom", bytes)
    os.link(other, beside / f".{bytes(16).hex()}")
    with pytest.raises(FileExistsError):
        replace(str(path), path.lstat(), b"after")
    assert other.read_bytes() == b"another's"
    assert path.read_bytes() == BEFORE


def test_nothing_is_left_open(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    replace(str(path), path.lstat(), b"after")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("nothing_beside")
def test_a_close_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux has closed all the same (close(2), "Dealing with error returns")."""
    original = os.close

    def close(descriptor: int) -> None:
        original(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    place = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    monkeypatch.setattr(os, "close", close)
    rewriting.replace_in(place, path.name, path.lstat(), b"after")
    monkeypatch.undo()
    os.close(place)
    assert path.read_bytes() == b"after"


def test_each_try_but_the_first_comes_after_a_pause_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise two writers that met would meet again."""
    paused: list[float] = []
    monkeypatch.setattr(rewriting, "sleep", paused.append)
    assert list(rewriting.tries()) == list(range(TRIES))
    assert len(paused) == TRIES - 1
    assert len(set(paused)) > 1
    assert all(0.02 <= seconds <= 0.1 for seconds in paused)
