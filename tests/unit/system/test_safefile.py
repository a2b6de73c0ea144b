"""Which files count: the cases that the system tests try for a whole login, here one by one."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import resource
import stat
import subprocess
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.forked import in_a_child
from trex.errors import FileUnsafe, NoRecord
from trex.system.privilege import Account
from trex.system.safefile import (
    MAX_SIZE,
    check_directories,
    check_writers,
    file_status,
    open_safely,
    read_safely,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
UID, GID, OTHER = 61234, 61234, 61235


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "alice"
    path.mkdir(mode=0o755)
    os.chown(path, UID, GID)
    return path


@pytest.fixture
def alice(home: Path) -> Account:
    return Account("alice", UID, GID, str(home), [GID])


@pytest.fixture
def record(home: Path) -> Path:
    path = home / ".auth_gpg"
    path.write_text("record")
    os.chown(path, UID, GID)
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = sorted(os.listdir("/proc/self/fd"))
    yield
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("owner", [0, UID])
def test_the_account_s_file_and_root_s_are_read(owner: int, record: Path, alice: Account) -> None:
    os.chown(record, owner, owner)
    assert read_safely(str(record), alice) == b"record"


def test_nobody_else_s_is(record: Path, alice: Account) -> None:
    os.chown(record, OTHER, GID)
    with pytest.raises(
        FileUnsafe, match=f"expected owned by alice or root, found owner uid {OTHER}"
    ):
        read_safely(str(record), alice)


@pytest.mark.parametrize("mode", [0o602, 0o666, 0o620, 0o777])
def test_who_else_may_write_spoils_it(mode: int, record: Path, alice: Account) -> None:
    record.chmod(mode)
    with pytest.raises(FileUnsafe, match=f"mode {mode:04o}"):
        read_safely(str(record), alice)


@pytest.mark.parametrize("mode", [0o400, 0o644, 0o755])
def test_who_else_may_read_does_not(mode: int, record: Path, alice: Account) -> None:
    record.chmod(mode)
    assert read_safely(str(record), alice) == b"record"


@pytest.mark.parametrize("size", [0, 1, MAX_SIZE])
def test_sizes(size: int, record: Path, alice: Account) -> None:
    record.write_bytes(b"x" * size)
    assert len(read_safely(str(record), alice)) == size


@pytest.mark.parametrize("size", [MAX_SIZE + 1, 3 * MAX_SIZE])
def test_too_large(size: int, record: Path, alice: Account) -> None:
    record.write_bytes(b"x" * size)
    with pytest.raises(FileUnsafe, match=f"at most {MAX_SIZE // 1024} KiB"):
        read_safely(str(record), alice)


def test_missing(home: Path, alice: Account) -> None:
    with pytest.raises(NoRecord, match="no such file"):
        read_safely(str(home / "nothing"), alice)


@pytest.mark.usefixtures("impatient")
def test_other_kinds(home: Path, record: Path, alice: Account) -> None:
    """Advisory CVE-2019-12209."""
    (home / "link").symlink_to(record)
    (home / "loose").symlink_to("nowhere")
    (home / "directory").mkdir()
    os.mkfifo(home / "fifo")
    os.mknod(home / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(home / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    for name, kind in {
        "link": "a symbolic link", "loose": "a symbolic link", "directory": "a directory",
        "fifo": "a FIFO", "null": "a character device",
    }.items():  # fmt: skip
        with pytest.raises(FileUnsafe, match=f"expected a regular file, .*, found {kind}"):
            read_safely(str(home / name), alice)
    with pytest.raises(FileUnsafe):
        read_safely(str(home / "disk"), alice)


def test_an_open_file_does_not_reach_a_program(record: Path, alice: Account) -> None:
    descriptor = open_safely(str(record), alice)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("owner", "mode", "counts"),
    [
        (UID, 0o755, True), (0, 0o755, True), (OTHER, 0o755, False), (UID, 0o757, False),
        (UID, 0o775, False), (UID, 0o1777, False), (0, 0o1777, True), (0, 0o777, False),
        (OTHER, 0o1755, False),
    ],
)  # fmt: skip
def test_directories(
    owner: int, mode: int, counts: bool, home: Path, record: Path, alice: Account
) -> None:
    """Who may write in one may put another record in place; not so in root's sticky ones."""
    inner = home / "inner"
    inner.mkdir()
    moved = record.rename(inner / "record")
    os.chown(inner, owner, GID)
    inner.chmod(mode)
    if counts:
        assert read_safely(str(moved), alice) == b"record"
    else:
        with pytest.raises(FileUnsafe, match="inner: expected"):
            read_safely(str(moved), alice)


def test_the_home_is_looked_at_and_what_is_above_it_is_not(
    home: Path, record: Path, alice: Account
) -> None:
    home.parent.chmod(0o777)
    assert read_safely(str(record), alice) == b"record"
    home.chmod(0o777)
    with pytest.raises(
        FileUnsafe, match="alice: expected writable by its owner only, found mode 0777"
    ):
        read_safely(str(record), alice)


def test_outside_of_the_home_all_is_looked_at_up_to_the_root(
    tmp_path: Path, home: Path, alice: Account
) -> None:
    central = tmp_path / "etc" / "trex"
    central.mkdir(parents=True)
    check_directories(str(central), alice)
    central.parent.chmod(0o777)
    with pytest.raises(
        FileUnsafe, match="etc: expected writable by its owner only, found mode 0777"
    ):
        check_directories(str(central), alice)
    nowhere = Account("alice", UID, GID, "", [GID])
    central.parent.chmod(0o755)
    check_directories(str(central), nowhere)


def test_a_file_in_the_place_of_a_directory(home: Path, record: Path, alice: Account) -> None:
    with pytest.raises(FileUnsafe, match="expected a directory, found a regular file"):
        check_directories(str(record), alice)


def test_what_a_link_leads_to_is_what_counts(
    tmp_path: Path, home: Path, record: Path, alice: Account
) -> None:
    link = home / "link"
    link.symlink_to(record)
    check_writers(str(link), alice)
    record.chmod(0o666)
    with pytest.raises(FileUnsafe):
        check_writers(str(link), alice)
    record.chmod(0o600)
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    link.unlink()
    link.symlink_to(record.rename(shared / "record"))
    with pytest.raises(
        FileUnsafe, match="shared: expected writable by its owner only, found mode 0777"
    ):
        check_writers(str(link), alice)
    with pytest.raises(FileNotFoundError):
        check_writers(str(home / "nothing"), alice)


def entry(name: str, uid: int, gid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))


@pytest.mark.parametrize(
    ("name", "members", "primary_for", "counts"),
    [
        ("alice", [], ["alice"], True),
        ("alice", ["alice"], ["alice"], True),
        ("alice", ["bob"], ["alice"], False),
        ("alice", ["alice", "bob"], ["alice"], False),
        ("staff", [], ["alice"], False),
        ("alice", [], ["alice", "bob"], False),
        ("alice", [], [], True),
        ("", [], ["alice"], False),
    ],
)
def test_a_private_group(
    name: str, members: list[str], primary_for: list[str], counts: bool, record: Path,
    alice: Account, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Where umask is 002. The databases stand in: tests/system has real groups."""

    def find(gid: int) -> grp.struct_group:
        if not name or gid != GID:
            raise KeyError(gid)
        return grp.struct_group((name, "x", GID, members))

    users = [entry(user, UID + number, GID) for number, user in enumerate(primary_for)]
    monkeypatch.setattr(grp, "getgrgid", find)
    monkeypatch.setattr(
        pwd, "getpwall", lambda: [entry("root", 0, 0), *users, entry("carol", 7, 7)]
    )
    record.chmod(0o660)
    if counts:
        assert read_safely(str(record), alice) == b"record"
        subprocess.run(["setfacl", "--modify", "user:7:rw", record], check=True)
        with pytest.raises(FileUnsafe):
            read_safely(str(record), alice)
    else:
        with pytest.raises(FileUnsafe, match="mode 0660 with group"):
            read_safely(str(record), alice)


def test_accounts_that_cannot_be_listed_may_be_anybody_s(
    record: Path, alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """getpwent(3) ends early where /etc/passwd cannot be opened: nscd and sssd still know groups."""
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(("alice", "x", gid, [])))
    record.chmod(0o660)

    def read_with(free: int) -> str:
        taken = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for descriptor in taken[:free]:
            os.close(descriptor)
        try:
            return read_safely(str(record), alice).decode()
        except FileUnsafe as error:
            return error.found

    assert in_a_child(partial(read_with, 2)) == "record"
    assert in_a_child(partial(read_with, 1)).startswith("mode 0660 with group")
    monkeypatch.setattr(pwd, "getpwall", lambda: [entry("carol", 7, 7)])  # what else is asked
    assert in_a_child(partial(read_with, 2)).startswith("mode 0660 with group")


def test_the_limit_is_64_kib() -> None:
    assert MAX_SIZE == 65536


@pytest.mark.parametrize(("size", "whole"), [(1000, True), (MAX_SIZE, True), (MAX_SIZE + 1, False)])
def test_a_file_that_comes_in_pieces(
    size: int, whole: bool, record: Path, alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As read(2) may return it from a network file system."""
    record.write_bytes(os.urandom(size))
    content, real = record.read_bytes(), os.read
    monkeypatch.setattr(os, "read", lambda descriptor, count: real(descriptor, min(count, 64)))
    if whole:
        assert read_safely(str(record), alice) == content
    else:
        with pytest.raises(FileUnsafe, match="a larger file"):
            read_safely(str(record), alice)


def test_a_file_that_cannot_be_read_on(
    record: Path, alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, count: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(FileUnsafe, match='found "Input/output error"'):
        read_safely(str(record), alice)


def test_an_open_file_that_cannot_be_examined() -> None:
    with pytest.raises(FileUnsafe, match='found "Bad file descriptor"'):
        file_status(-1, "/etc/passwd")


@pytest.mark.parametrize(("number", "counts"), [(errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_file_system_without_access_lists_has_none(
    number: int, counts: bool, record: Path, alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(where: int) -> list[str]:
        raise OSError(number, "no list")

    monkeypatch.setattr(os, "listxattr", fail)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(("alice", "x", gid, [])))
    record.chmod(0o660)
    if counts:
        assert read_safely(str(record), alice) == b"record"
    else:
        with pytest.raises(FileUnsafe):
            read_safely(str(record), alice)
