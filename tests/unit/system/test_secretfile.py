"""A file for its owner alone: its owner, one login at a time, replaced whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import trex.system.secretfile
from tests.support.accounts import own_account
from trex.errors import FileUnsafe, NoRecord, TrexError
from trex.system import rewriting
from trex.system.privilege import Account, find_account
from trex.system.safefile import MAX_SIZE, check_directories
from trex.system.secretfile import (
    ChangedMeanwhile,
    StateNotWritten,
    create_secret,
    locked,
    read_secret,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BEFORE = b"before\n"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(BEFORE)
    path.chmod(0o600)
    return path


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


class Clock:
    """A monotonic clock that only waiting advances, with a limited number of reads."""

    def __init__(self) -> None:
        self.now = 0.0
        self._asked = count()

    def ask(self) -> float:
        assert next(self._asked) < 100
        return self.now

    def wait(self, seconds: float) -> None:
        assert self.now < 100
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Half a second passes with each pause."""
    clock = Clock()
    for module in (trex.system.secretfile, rewriting):
        monkeypatch.setattr(module, "monotonic", clock.ask)
    monkeypatch.setattr(rewriting, "sleep", clock.wait)
    monkeypatch.setattr(rewriting, "PAUSE_SECONDS", 0.5)
    return clock


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a function of `os` fail: always, or if a condition on its arguments is true."""

    def set_up(
        name: str, number: int = errno.EIO, when: Callable[..., bool] = lambda *_: True
    ) -> None:
        original = getattr(os, name)

        def failing(*arguments: object, **named: object) -> object:
            if when(*arguments):
                raise OSError(number, os.strerror(number))
            return original(*arguments, **named)

        monkeypatch.setattr(os, name, failing)

    return set_up


def me() -> Account:
    return own_account()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def beside(path: Path) -> Path:
    return path.with_name(f".{path.name}~")


def write(path: Path, content: bytes = b"after\n") -> None:
    with locked(str(path), me()) as file:
        file.replace(content)


# ---------------------------------------------------------------------------- who may have it


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_what_is_the_owner_s_alone_is_read(secret_file: Path, mode: int) -> None:
    secret_file.chmod(mode)
    before = descriptors()
    assert read_secret(str(secret_file), me()) == BEFORE
    with locked(str(secret_file), me()) as file:
        assert file.content == BEFORE
    assert descriptors() == before


@pytest.mark.parametrize(
    "mode", [0o601, 0o602, 0o604, 0o610, 0o620, 0o640, 0o700, 0o1600, 0o2600]
)  # fmt: skip
def test_one_bit_more_is_refused(secret_file: Path, mode: int) -> None:
    """google-authenticator refuses the same: `mode & 03177`."""
    secret_file.chmod(mode)
    before = descriptors()
    with pytest.raises(FileUnsafe, match=f"found mode {mode:04o}"):
        read_secret(str(secret_file), me())
    with pytest.raises(FileUnsafe), locked(str(secret_file), me()):
        pass
    assert descriptors() == before


def test_another_s_file_is_refused(secret_file: Path) -> None:
    """Root's, too, which `open_safely` would accept."""
    mine = me()
    other = Account("other", mine.uid + 1, mine.gid, mine.home, [])
    trex.system.secretfile._check_private(str(secret_file), secret_file.stat(), mine)
    with pytest.raises(FileUnsafe, match="owned by other"):
        trex.system.secretfile._check_private(str(secret_file), secret_file.stat(), other)


def test_a_file_may_have_so_many_bytes_and_no_more(secret_file: Path) -> None:
    whole = b"x" * (MAX_SIZE - 1) + b"\n"
    secret_file.write_bytes(whole)
    assert read_secret(str(secret_file), me()) == whole
    secret_file.write_bytes(b"x" + whole)
    with pytest.raises(FileUnsafe, match=r"64 KiB.* a larger file"):
        read_secret(str(secret_file), me())


def test_a_file_that_cannot_be_read_is_no_empty_one(
    secret_file: Path, fail: Callable[..., None]
) -> None:
    fail("read")
    with pytest.raises(FileUnsafe, match="Input/output error"):
        read_secret(str(secret_file), me())


# ---------------------------------------------------------------------------- one at a time


def test_who_waits_for_the_lock_reads_what_the_one_before_has_written(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes, for this test."""
    waits, pause = threading.Event(), time.sleep

    def note(seconds: float) -> None:
        waits.set()
        pause(seconds)

    monkeypatch.setattr("trex.system.secretfile.TURN_SECONDS", 60)
    monkeypatch.setattr(rewriting, "sleep", note)

    def read() -> bytes:
        with locked(str(secret_file), me()) as later:
            return later.content

    with ThreadPoolExecutor(1) as pool:
        with locked(str(secret_file), me()) as file:
            waiting = pool.submit(read)
            assert waits.wait(30)
            assert not waiting.done()
            file.replace(b"new\n")
        assert waiting.result(30) == b"new\n"


def test_nobody_waits_for_a_turn_longer_than_a_second(secret_file: Path, clock: Clock) -> None:
    with secret_file.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        write(secret_file)
    assert clock.now == 1.5, "the first pause that ends after the first second is the last"
    assert secret_file.read_bytes() == b"after\n"


def test_of_two_that_have_read_it_one_writes(secret_file: Path, clock: Clock) -> None:
    """Also if the login that has the lock is the one that was stopped."""
    with locked(str(secret_file), me()) as stopped:
        with locked(str(secret_file), me()) as other:
            other.replace(b"other\n")
        with pytest.raises(ChangedMeanwhile, match="was changed by another login"):
            stopped.replace(b"stopped\n")
    assert secret_file.read_bytes() == b"other\n"
    assert clock.now == 1.5


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOENT, NoRecord), (errno.EIO, StateNotWritten)]
)
def test_a_file_that_has_gone_under_its_lock(
    secret_file: Path, fail: Callable[..., None], number: int, error: type[TrexError]
) -> None:
    looks = count()

    def is_it(path: str, *_: object) -> bool:
        assert next(looks) < 100
        return str(path) == secret_file.name

    fail("stat", number, is_it)
    before = descriptors()
    with pytest.raises(error, match=str(secret_file)), locked(str(secret_file), me()):
        pass
    assert descriptors() == before


def test_a_link_to_the_file_that_was_opened_is_not_that_file(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename onto the link's name would replace another file than the one that was read."""

    def swap(*_: object) -> bool:
        if not secret_file.is_symlink():
            secret_file.rename(f"{secret_file}.x")
            secret_file.symlink_to(f"{secret_file}.x")
        return True

    monkeypatch.setattr("trex.system.secretfile.take_turn", swap)
    with pytest.raises(FileUnsafe, match="a symbolic link"), locked(str(secret_file), me()):
        pass


def test_where_its_directory_cannot_be_opened_it_cannot_be_marked(
    secret_file: Path, fail: Callable[..., None]
) -> None:
    fail("open", errno.EMFILE, lambda _, flags, *__: flags == rewriting.DIRECTORY)
    before = descriptors()
    with (
        pytest.raises(StateNotWritten, match=f"^{secret_file}: Too many open files$"),
        locked(str(secret_file), me()),
    ):
        pass
    assert descriptors() == before


# ---------------------------------------------------------------------------- whole or not at all


@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_text("another"), lambda path: path.unlink(),
     lambda path: (path.rename(f"{path}.x"), path.write_bytes(BEFORE)),
     lambda path: path.write_bytes(BEFORE[::-1]),
     lambda path: (path.rename(f"{path}.x"), path.symlink_to(f"{path}.x"))],
)  # fmt: skip
def test_a_file_that_another_program_has_changed_meanwhile_is_left_alone(
    secret_file: Path, change: Callable[[Path], object]
) -> None:
    """google-authenticator takes no lock, and checks in the same way."""
    with locked(str(secret_file), me()) as file:
        change(secret_file)
        after = secret_file.read_bytes() if secret_file.exists() else None
        with pytest.raises(StateNotWritten):
            file.replace(b"mine")
    assert (secret_file.read_bytes() if secret_file.exists() else None) == after
    assert not beside(secret_file).exists()


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_owner_group_and_mode_stay(secret_file: Path, mode: int) -> None:
    """google-authenticator #98: the caller's group. google-authenticator-libpam #115: another mode."""
    secret_file.chmod(mode)
    os.chown(secret_file, -1, 1234)
    write(secret_file)
    status = secret_file.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, os.geteuid(), 1234)


def test_a_group_that_cannot_be_given_is_no_reason_to_refuse(
    secret_file: Path, fail: Callable[..., None]
) -> None:
    fail("fchown", errno.EPERM)
    write(secret_file)
    assert secret_file.read_bytes() == b"after\n"


@pytest.mark.usefixtures("no_umask")
def test_the_new_file_is_nobody_else_s_from_its_beginning(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    for name in ("fchown", "write"):
        original = getattr(os, name)

        def look(descriptor: int, *rest: object, original: Callable[..., int] = original) -> int:
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
            return original(descriptor, *rest)

        monkeypatch.setattr(os, name, look)
    write(secret_file)
    create_secret(f"{secret_file}2", me(), b"x")
    monkeypatch.undo()
    assert modes == [0o600] * 3
    assert stat.S_IMODE(os.stat(f"{secret_file}2").st_mode) == 0o600


def test_it_is_on_the_disk_before_it_is_in_place_and_its_place_is_too(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code that was used before a power cut is used after it."""
    done = []

    def note(name: str) -> None:
        original = getattr(os, name)

        def noting(first: int | str, *rest: object, **named: object) -> object:
            path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else first
            what = re.sub("[0-9a-f]{32}", "new", Path(path).name)
            done.append(f"{name} {what}")
            return original(first, *rest, **named)

        monkeypatch.setattr(os, name, noting)

    for name in ("fsync", "rename", "link"):
        note(name)
    write(secret_file)
    create_secret(f"{secret_file}2", me(), b"x")
    directory = f"fsync {secret_file.parent.name}"
    assert done == ["fsync .new", "rename .new", directory, "fsync .new", "link .new", directory]


def test_a_directory_that_cannot_be_synchronized_is_no_reason_to_refuse(
    secret_file: Path, fail: Callable[..., None]
) -> None:
    fail("fsync", errno.EINVAL, lambda descriptor: stat.S_ISDIR(os.fstat(descriptor).st_mode))
    before = descriptors()
    write(secret_file)
    assert secret_file.read_bytes() == b"after\n"
    assert descriptors() == before


def test_what_is_written_bit_by_bit_is_whole(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_some = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, text: write_some(descriptor, text[:2]))
    write(secret_file)
    assert secret_file.read_bytes() == b"after\n"


@pytest.mark.parametrize("name", ["fchown", "fchmod", "write", "fsync", "rename"])
def test_where_it_cannot_be_written_it_is_what_it_was(
    secret_file: Path, fail: Callable[..., None], name: str
) -> None:
    before = descriptors()
    with locked(str(secret_file), me()) as file:
        fail(name)
        with pytest.raises(StateNotWritten, match=r"secret cannot be rewritten: Input/output"):
            file.replace(b"after\n")
    assert secret_file.read_bytes() == BEFORE
    assert not beside(secret_file).exists()
    assert descriptors() == before


@pytest.mark.parametrize("failing", range(1, 5))
def test_no_descriptor_stays_where_the_file_cannot_be_looked_at(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Advisories CVE-2019-12210 and CVE-2018-9275, in whichever fstat(2) it is that fails."""
    look, looks = os.fstat, count(1)

    def look_and_fail(descriptor: int) -> os.stat_result:
        if next(looks) == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return look(descriptor)

    before = descriptors()
    monkeypatch.setattr(os, "fstat", look_and_fail)
    with suppress(OSError, TrexError), locked(str(secret_file), me()):
        pass
    monkeypatch.undo()
    assert next(looks) > failing
    assert descriptors() == before


def test_what_is_there_is_not_made_again(secret_file: Path) -> None:
    before = descriptors()
    with pytest.raises(StateNotWritten, match="it already exists"):
        create_secret(str(secret_file), me(), b"x")
    assert secret_file.read_bytes() == BEFORE
    assert not beside(secret_file).exists()
    create_secret(f"{secret_file}2", me(), b"x")
    assert Path(f"{secret_file}2").read_bytes() == b"x"
    assert not beside(Path(f"{secret_file}2")).exists()
    assert descriptors() == before


@pytest.mark.parametrize("name", ["write", "fsync", "link"])
def test_where_it_cannot_be_made_there_is_none(
    tmp_path: Path, fail: Callable[..., None], name: str
) -> None:
    fail(name)
    before = descriptors()
    with pytest.raises(StateNotWritten, match=r"secret cannot be created: Input/output"):
        create_secret(f"{tmp_path}/secret", me(), b"x")
    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


def test_nothing_is_written_that_the_next_login_would_not_read(secret_file: Path) -> None:
    me = own_account()
    too_large = pytest.raises(StateNotWritten, match=r"would be larger than 64 KiB$")
    with locked(str(secret_file), me) as file, too_large:
        file.replace(b"x" * (MAX_SIZE + 1))
    assert secret_file.read_bytes() == BEFORE
    with locked(str(secret_file), me) as file:
        file.replace(b"x" * MAX_SIZE)
    assert read_secret(str(secret_file), me) == b"x" * MAX_SIZE


# ---------------------------------------------------------------------------- in a swapped directory


def swap(directory: Path, other: Path) -> None:
    """Replace the directory by another one, as the owner of its parent can."""
    directory.rename(directory.with_name("aside"))
    directory.symlink_to(other)


def test_a_directory_that_is_swapped_costs_nobody_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root creates a secret below a user's directory, and removes only what it has created."""
    here, root_s = tmp_path / "here", tmp_path / "root's"
    here.mkdir()
    root_s.mkdir()
    beside(root_s / "secret").write_bytes(b"root's")

    def swap_and_fail(*_: object, **__: object) -> None:
        swap(here, root_s)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", swap_and_fail)
    with pytest.raises(StateNotWritten, match="Input/output"):
        create_secret(f"{here}/secret", me(), b"x")
    assert beside(root_s / "secret").read_bytes() == b"root's"
    assert list((tmp_path / "aside").iterdir()) == []


def test_a_directory_that_is_swapped_after_it_was_looked_at_gets_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, root_s = tmp_path / "here", tmp_path / "root's"
    here.mkdir()
    root_s.mkdir()

    def look_and_swap(directory: str, account: Account) -> None:
        check_directories(directory, account)
        swap(here, root_s)

    monkeypatch.setattr("trex.system.secretfile.check_directories", look_and_swap)
    create_secret(f"{here}/secret", me(), b"x")
    assert list(root_s.iterdir()) == []
    assert (tmp_path / "aside/secret").read_bytes() == b"x"


def test_a_directory_that_is_swapped_under_a_lock_costs_nobody_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, root_s = tmp_path / "here", tmp_path / "root's"
    for directory in (here, root_s):
        directory.mkdir()
        (directory / "secret").write_bytes(BEFORE)
        (directory / "secret").chmod(0o600)
    with locked(f"{here}/secret", me()) as file:
        swap(here, root_s)
        beside(root_s / "secret").write_bytes(b"root's")
        file.replace(b"after\n")
    assert (tmp_path / "aside/secret").read_bytes() == b"after\n"
    assert (root_s / "secret").read_bytes() == BEFORE
    assert beside(root_s / "secret").read_bytes() == b"root's"


@pytest.mark.skipif(os.geteuid() != 0, reason="another's directory is one that root can make")
def test_no_secret_is_made_where_another_could_replace_it(tmp_path: Path) -> None:
    """Also if the directory was another one at the first check."""
    os.chown(tmp_path, find_account("nobody").uid, -1)
    with pytest.raises(FileUnsafe, match="owner uid"):
        create_secret(f"{tmp_path}/secret", me(), b"x")
    assert list(tmp_path.iterdir()) == []
