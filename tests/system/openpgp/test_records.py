"""What may lie where a record is looked for, and who may have written it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked, Log

pytestmark = pytest.mark.usefixtures("door")


def link_to_shadow(path: Path) -> None:
    path.symlink_to("/etc/shadow")


def dangling_link(path: Path) -> None:
    path.symlink_to("/nowhere")


def link_to_own_file(path: Path) -> None:
    path.rename(path.with_name("record"))
    path.symlink_to("record")


def device(path: Path) -> None:
    os.mknod(path, 0o20666, os.makedev(1, 5))


def unix_socket(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.close()


def sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (link_to_shadow, "found a symbolic link"),
        (dangling_link, "found a symbolic link"),
        (link_to_own_file, "found a symbolic link"),
        (os.mkfifo, "found a FIFO"),
        (device, "found a character device"),
        (Path.mkdir, "found a directory"),
        (unix_socket, "found a socket"),
        (sparse_file, "expected at most 64 KiB, found a larger file"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_only_a_regular_file_is_read(
    alice: Account,
    log_in: Callable[..., Asked],
    log: Log,
    plant: Callable[[Path], None],
    reason: str,
) -> None:
    """Advisory CVE-2019-12209: no hang, and no content of another file in a prompt or log."""
    if plant is not link_to_own_file:
        alice.record.unlink()
    plant(alice.record)
    os.chown(alice.record, alice.uid, alice.gid, follow_symlinks=False)
    if plant is device:
        alice.record.chmod(0o600)
    started = time.monotonic()
    refused(log_in("alice", arguments=("nullok",)), log, reason)
    assert time.monotonic() - started < 50


def test_a_record_of_64_kib_is_read_and_one_byte_more_is_not(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    record = alice.record.read_text()
    alice.write(record + "#" * (64 * 1024 - len(record)))
    assert log_in("alice").verdict == "PAM_SUCCESS"
    alice.write(record + "#" * (64 * 1024 - len(record) + 1))
    log.clear()
    refused(log_in("alice"), log, "at most 64 KiB")


@pytest.mark.parametrize(
    ("mode", "accepted"),
    [(0o600, True), (0o644, True), (0o400, True), (0o664, True), (0o646, False), (0o602, False)],
)
def test_modes(
    alice: Account, log_in: Callable[..., Asked], log: Log, mode: int, accepted: bool
) -> None:
    """Accounts of Debian may have umask 002: their own private group may write."""
    alice.record.chmod(mode)
    if accepted:
        assert log_in("alice").verdict == "PAM_SUCCESS"
    else:
        refused(log_in("alice"), log, f"expected writable by its owner only, found mode {mode:04o}")


def test_a_record_that_its_user_may_not_read(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.record.chmod(0o000)
    refused(log_in("alice"), log, 'that its user may read, found "Permission denied"')


def test_owners(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log
) -> None:
    os.chown(alice.record, 0, 0)
    alice.record.chmod(0o644)
    assert log_in("alice").verdict == "PAM_SUCCESS", "root's own"
    mallory = account("mallory")
    os.chown(alice.record, mallory.uid, alice.gid)
    log.clear()
    refused(log_in("alice"), log, f"expected owned by alice or root, found owner uid {mallory.uid}")


def test_group_writable_by_another_group(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.record.chmod(0o664)
    os.chown(alice.record, alice.uid, 100)
    refused(log_in("alice"), log, "mode 0664 with group 100")


def test_group_writable_and_the_private_group_has_another_member(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log
) -> None:
    account("mallory")
    subprocess.run(["usermod", "-a", "-G", "alice", "mallory"], check=True)
    alice.record.chmod(0o664)
    refused(log_in("alice"), log, "private group without other members")


def test_group_writable_and_the_private_group_is_another_account_s_primary(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log
) -> None:
    account("mallory")
    subprocess.run(["usermod", "-g", "alice", "mallory"], check=True)
    alice.record.chmod(0o664)
    try:
        refused(log_in("alice"), log, "private group without other members")
    finally:
        subprocess.run(["usermod", "-g", "mallory", "mallory"], check=True)


def test_an_access_control_list_is_no_private_group(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log
) -> None:
    """The mask of a list appears as the group's bits, and says nothing about the group."""
    account("mallory")
    subprocess.run(["setfacl", "-m", "u:mallory:rw", alice.record], check=True)
    refused(log_in("alice"), log, "private group without other members")


def test_what_is_only_odd_is_a_warning(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.write(alice.record.read_text() + "bob@example.org trust nosign\n")
    assert log_in("alice").verdict == "PAM_SUCCESS"
    [warning] = log.trex("second record")
    assert warning.startswith("<84>"), "authpriv.warning"
