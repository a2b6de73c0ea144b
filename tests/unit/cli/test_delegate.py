"""Work as another account: what the process is and has, how it ends, and what it returns."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.accounts import SOMEBODY
from tests.support.forked import in_a_child
from trex.cli import delegate
from trex.cli.delegate import hint_for, run_as, scratch_directory
from trex.cli.errors import CommandError
from trex.errors import OTHER, OWNER, READABLE, WRITABLE, FileUnsafe, TrexError
from trex.system import supervisor
from trex.system.privilege import find_account
from trex.system.safefile import check_writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if os.geteuid() != 0:
    pytest.skip("only root works for others", allow_module_level=True)

ROOT = find_account("root")


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """No process, descriptor, blocked signal or signal handler is left."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    before, blocked = set(os.listdir("/proc/self/fd")), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    assert set(os.listdir("/proc/self/fd")) <= before  # of older garbage one may have gone
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def facts() -> dict[str, Any]:
    """Return what the kernel says about this process."""
    with open("/proc/self/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    with open("/proc/self/stat", encoding="ascii") as file:
        numbers = file.read().rpartition(")")[2].split()
    return {
        "ids": [status[name].split() for name in ("Uid", "Gid", "Groups")],
        "session": int(numbers[3]) == os.getpid(), "terminal": int(numbers[4]),
        "umask": status["Umask"], "cwd": os.getcwd(), "environment": dict(os.environ),
        "standard": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
        "signals": {name: int(status[name], 16) for name in ("SigBlk", "SigIgn", "SigCgt")},
    }  # fmt: skip


def bit(number: int) -> int:
    return 1 << (number - 1)


def test_the_process_is_the_account_for_good_and_has_nothing_of_root_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real, effective, saved and file system ids, groups, session, directory, mask, environment."""
    monkeypatch.setenv("LD_PRELOAD_OF_ROOT", "x")
    monkeypatch.setenv("TERM", "xterm")
    told = run_as(SOMEBODY, facts)
    assert told["ids"] == [["54321"] * 4, ["54322"] * 4, ["54322", "54323"]]
    assert told["session"]
    assert (told["umask"], told["cwd"]) == ("0077", "/")
    assert told["standard"] == ["/dev/null"] * 3
    assert told["environment"] == {
        "HOME": "/nonexistent", "USER": "somebody", "LOGNAME": "somebody", "PATH": delegate.PATH,
        "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    assert told["signals"]["SigBlk"] == 0
    ignored = told["signals"]["SigIgn"]
    assert ignored & bit(signal.SIGINT)
    assert ignored & bit(signal.SIGHUP), "the parent passes them on"
    assert told["signals"]["SigCgt"] & bit(signal.SIGTERM)


def at_a_terminal(work: Callable[[], object]) -> Any:
    """Return the result of `work` in a session with a terminal as 0 to 2, as in root's shell."""

    def with_terminal() -> object:
        _, terminal = pty.openpty()
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        for standard in range(3):
            os.dup2(terminal, standard)
        return work()

    return in_a_child(with_terminal)


def test_the_process_cannot_reach_root_s_terminal() -> None:
    """Otherwise a user's program could type into root's shell (TIOCSTI)."""

    def reach() -> Any:
        def look() -> list[Any]:
            told = facts()
            try:
                os.close(os.open("/dev/tty", os.O_RDWR))
            except OSError as error:
                return [told["terminal"], told["standard"], error.errno, os.isatty(0)]
            return [told["terminal"], told["standard"], 0, os.isatty(0)]

        assert os.isatty(0)
        return run_as(SOMEBODY, look)

    assert at_a_terminal(reach) == [0, ["/dev/null"] * 3, errno.ENXIO, False]


def test_what_the_process_makes_is_its_own_alone(tmp_path: Path) -> None:
    def make() -> list[int]:
        directory = tempfile.mkdtemp()
        try:
            path = os.path.join(directory, "file")
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
            os.mkdir(f"{path}.d")
            return [stat.S_IMODE(os.stat(made).st_mode) for made in (path, f"{path}.d")]
        finally:
            subprocess.run(["rm", "-r", directory], check=True)

    before = os.umask(0)
    try:
        assert run_as(SOMEBODY, make) == [0o600, 0o700]
    finally:
        os.umask(before)


def test_for_oneself_a_pinentry_has_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*delegate.KEPT, "EVIL"):
        monkeypatch.setenv(name, f"of {name}")
    monkeypatch.delenv("DISPLAY")

    def ask() -> Any:
        terminal = os.ttyname(0)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)  # `trex show | less`, say
        return [terminal, run_as(ROOT, facts)["environment"]]

    terminal, made = at_a_terminal(ask)
    kept = {name: f"of {name}" for name in delegate.KEPT if name != "DISPLAY"}
    base = {"HOME": ROOT.home, "USER": "root", "LOGNAME": "root", "PATH": delegate.PATH}
    assert made == {**base, **kept, "GPG_TTY": terminal}
    null = os.open("/dev/null", os.O_RDONLY)
    kept_in = os.dup(0)
    os.dup2(null, 0)
    try:
        assert "GPG_TTY" not in run_as(ROOT, facts)["environment"]
    finally:
        os.dup2(kept_in, 0)
        os.close(kept_in)
        os.close(null)


def fail(error: BaseException) -> Any:
    def work() -> None:
        raise error

    with pytest.raises(CommandError) as caught:
        run_as(SOMEBODY, work)
    return str(caught.value), caught.value.hint


def test_what_it_raises_is_raised_here_in_words() -> None:
    assert fail(CommandError("a", "b")) == ("a", "b")
    unsafe = FileUnsafe("/x y", "mode 0777", "writable by its owner only", WRITABLE)
    assert fail(unsafe) == (str(unsafe), "chmod go-w '/x y'")
    assert fail(TrexError("c")) == ("c", "")
    assert fail(OSError(errno.ENOENT, "No such file or directory", "/x")) == (
        "/x: No such file or directory",
        "",
    )
    assert fail(OSError(errno.ENOSPC, "No space left on device")) == ("No space left on device", "")
    assert fail(ValueError("secret")) == ("unforeseen error: ValueError", "please report it")
    lost = ("the work ended without a result; is memory or disk space exhausted?", "")
    assert fail(SystemExit(0)) == lost
    assert fail(KeyboardInterrupt()) == lost


def test_what_is_no_plain_data_and_who_cannot_be_become_is_no_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CommandError, match="ended without a result"):
        run_as(SOMEBODY, object)
    with pytest.raises(CommandError, match="ended without a result"):
        run_as(SOMEBODY, lambda: os._exit(0))
    ran = Path(tempfile.mkdtemp()) / "ran"

    def work() -> None:
        ran.touch()

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "setresuid", refuse)
    with pytest.raises(CommandError, match="ended without a result"):
        run_as(SOMEBODY, work)
    assert not ran.exists()
    ran.parent.rmdir()


@pytest.mark.parametrize("size", [0, 1, 100_000, 1 << 20])
def test_results_of_any_size_come_whole(size: int) -> None:
    assert run_as(SOMEBODY, lambda: {"text": "x" * size}) == {"text": "x" * size}


def test_a_result_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert delegate.MAX_REPORT == 16 << 20
    monkeypatch.setattr(delegate, "MAX_REPORT", 1000)
    with pytest.raises(CommandError):
        run_as(SOMEBODY, lambda: "x" * 1_000_000)
    most = 1000 - len('{"result": ""}')
    assert run_as(SOMEBODY, lambda: "x" * most) == "x" * most
    with pytest.raises(CommandError):
        run_as(SOMEBODY, lambda: "x" * (most + 1))


def test_work_that_takes_too_long_is_ended() -> None:
    begun = time.monotonic()
    with pytest.raises(CommandError, match="was ended"):
        run_as(SOMEBODY, lambda: time.sleep(60), seconds=0.3)
    assert 0.3 <= time.monotonic() - begun < 20


def test_work_that_does_not_end_politely_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegate, "END_SECONDS", 0.5)

    def stay() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        time.sleep(60)

    begun = time.monotonic()
    with pytest.raises(CommandError, match="was ended"):
        run_as(SOMEBODY, stay, seconds=1.5)
    assert 2.0 <= time.monotonic() - begun < 30


def test_a_process_that_cannot_be_ended_is_left_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like one in state D: a file system that does not answer keeps it even from SIGKILL."""
    monkeypatch.setattr(delegate, "END_SECONDS", 0.1)
    monkeypatch.setattr(delegate, "KILL_SECONDS", 0.1)
    stays = subprocess.Popen(["sleep", "60"])
    with monkeypatch.context() as patch:
        patch.setattr(signal, "pidfd_send_signal", lambda *_: None)
        assert delegate._end(stays.pid) is False
    assert stays.poll() is None
    stays.kill()
    stays.wait()
    error = delegate._overdue(SOMEBODY, 2.0, has_ended=False)
    assert str(error) == (
        "the work on somebody's files did not finish in 2 seconds, and its process cannot be ended: "
        "their file system does not answer"
    )
    assert error.hint.startswith("df /nonexistent: ")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_it_starts_ends_with_it() -> None:
    """Daemons too, which have their own session and no parent."""

    def start() -> list[int]:
        source, sink = os.pipe()
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:
                os.write(sink, str(os.getpid()).encode())
                time.sleep(60)
            os._exit(0)
        return [int(os.read(source, 20))]

    begun = time.monotonic()
    [daemon] = run_as(SOMEBODY, start)
    assert not alive(daemon)
    assert time.monotonic() - begun < 20


def test_scratch_directories_are_the_account_s_and_go_with_the_work() -> None:
    def work() -> list[Any]:
        made = [scratch_directory(), scratch_directory()]
        for place in made:
            Path(place, "file").touch()
            os.mkdir(f"{place}/directory")
        status = os.stat(made[0])
        return [
            *made,
            status.st_uid,
            stat.S_IMODE(status.st_mode),
            list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        ]

    first, second, owner, mode, blocked = run_as(SOMEBODY, work)
    assert first != second
    assert os.path.basename(first).startswith("trex-")
    assert (owner, mode, blocked) == (SOMEBODY.uid, 0o700, [])
    assert not os.path.exists(first)
    assert not os.path.exists(second)


def test_scratch_directories_go_too_where_the_work_fails_or_is_ended() -> None:
    def told_by(work: Callable[[int], None]) -> str:
        source, sink = os.pipe()
        with pytest.raises(CommandError):
            run_as(SOMEBODY, lambda: work(sink), seconds=3)
        place = os.read(source, 200).decode()
        os.close(source)
        os.close(sink)
        return place

    def break_off(sink: int) -> None:
        os.write(sink, scratch_directory().encode())
        raise KeyboardInterrupt

    def wait(sink: int) -> None:
        os.write(sink, scratch_directory().encode())
        time.sleep(60)

    for work in (break_off, wait):
        place = told_by(work)
        assert os.path.basename(place).startswith("trex-")
        assert not os.path.exists(place)


def test_what_cannot_be_removed_keeps_nothing_else() -> None:
    def work() -> list[str]:
        made = [scratch_directory(), scratch_directory()]
        os.mkdir(f"{made[0]}/closed")
        Path(made[0], "closed/file").touch()
        os.chmod(f"{made[0]}/closed", 0)
        return made

    first, second = run_as(SOMEBODY, work)
    assert os.path.exists(first)
    subprocess.run(["rm", "-r", first], check=True)
    assert not os.path.exists(second)


def test_clearing_up_that_is_interrupted_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM may come at any moment, even then."""
    end, calls = supervisor.end_descendants, []

    def interrupted_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        end()

    monkeypatch.setattr(delegate, "end_descendants", interrupted_once)
    place = run_as(SOMEBODY, scratch_directory)
    assert os.path.basename(place).startswith("trex-")
    assert not os.path.exists(place)


def test_a_signal_while_it_clears_up_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of the user's may send more than one."""
    end = supervisor.end_descendants

    def signalled() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        end()

    monkeypatch.setattr(delegate, "end_descendants", signalled)
    place = run_as(SOMEBODY, scratch_directory)
    assert os.path.basename(place).startswith("trex-")
    assert not os.path.exists(place)


def pipes() -> list[str]:
    """Return the pipes of this process, one entry for each end."""
    ends = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return [name for name in map(os.readlink, filter(os.path.islink, ends)) if "pipe:" in name]


def test_the_process_has_two_ends_of_the_command_s_pipes() -> None:
    """Where its result goes, and the lifeline."""
    before = len(pipes())
    assert len(run_as(SOMEBODY, pipes)) == before + 2


def test_a_signal_while_the_work_is_ended_waits_until_it_has_ended() -> None:
    def interrupted() -> list[bool]:
        source, sink = os.pipe()
        command = os.getpid()

        def work() -> None:
            def send_and_stay(*_: object) -> None:
                os.kill(command, signal.SIGINT)
                time.sleep(1)
                os._exit(0)

            os.write(sink, str(os.getpid()).encode())
            signal.signal(signal.SIGTERM, send_and_stay)
            time.sleep(60)

        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            run_as(ROOT, work, seconds=2)
        except KeyboardInterrupt:
            return [alive(int(os.read(source, 20)))]
        return []

    assert in_a_child(interrupted) == [False]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_work_and_then_goes_on(number: signal.Signals) -> None:
    """What the work has begun is undone, and the command says that it was interrupted."""

    def interrupted() -> list[Any]:
        source, sink = os.pipe()
        place_source, place_sink = os.pipe()

        def work() -> None:
            os.write(place_sink, f"{os.getpid()} {scratch_directory()}".encode())
            os.write(sink, b".")
            time.sleep(60)

        command, watcher = os.getpid(), os.fork()
        if watcher == 0:
            os.read(source, 1)
            os.kill(command, number)
            os._exit(0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            run_as(SOMEBODY, work)
        except KeyboardInterrupt:
            pid, place = os.read(place_source, 200).decode().split()
            os.waitpid(watcher, 0)
            return [alive(int(pid)), os.path.exists(place)]
        return ["not interrupted"]

    assert in_a_child(interrupted) == [False, False]


def test_when_the_command_is_killed_the_work_ends() -> None:
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)

        def work() -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.write(sink, str(os.getpid()).encode())
            time.sleep(60)

        run_as(SOMEBODY, work)
        os._exit(0)
    worker = int(os.read(source, 20))
    pidfd = os.pidfd_open(worker)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    assert ended.poll(20_000)
    with suppress(ChildProcessError):  # it is ours where this is the first process of a container
        os.waitpid(worker, 0)
    for descriptor in (source, sink, pidfd):
        os.close(descriptor)


def test_what_was_said_before_is_said_once() -> None:
    """A fork copies buffers that are not written yet."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from trex.cli.delegate import run_as\nfrom trex.system.privilege import find_account\n"
        "sys.stdout.write('out'); sys.stderr.write('err'); run_as(find_account('nobody'), lambda: 1)\n"
    )
    root = str(Path(delegate.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program, root], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"out", b"err")


@pytest.mark.parametrize(
    ("kind", "owner", "hint"),
    [(WRITABLE, "", "chmod go-w '/a b'"), (READABLE, "", "chmod 600 '/a b'"),
     (OWNER, "alice", "chown -h alice: '/a b'"), (OTHER, "", "ls -ld '/a b'")],
)  # fmt: skip
def test_a_hint_follows_from_the_kind_and_not_from_the_words(
    kind: str, owner: str, hint: str
) -> None:
    assert hint_for(FileUnsafe("/a b", "mode 7", "owned by nobody", kind, owner)) == hint


@pytest.mark.parametrize(("owner", "mode"), [(7, 0o600), (0, 0o602)])
def test_the_hint_for_a_file_that_was_checked_is_a_command_that_works(
    tmp_path: Path, owner: int, mode: int
) -> None:
    path = tmp_path / "it's a file"
    path.touch()
    os.chown(path, owner, -1)
    path.chmod(mode)
    with pytest.raises(FileUnsafe) as caught:
        check_writers(str(path), ROOT)
    subprocess.run(["sh", "-c", hint_for(caught.value)], check=True)
    check_writers(str(path), ROOT)
