"""What may lie where a record is looked for, and who may have written it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.keys import Holder
    from tests.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys


def refused(asked: Asked, log: Log, reason: str) -> None:
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    line = log.verdict()
    assert ": could not check: " in line
    assert reason in line
    assert "root:" not in log.everything(), "nothing of another file's content"


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
        (sparse_file, "found a larger file; meant is at most 64 KiB"),
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
    """Advisory CVE-2019-12209: no hang, and nothing of another file in a prompt or log."""
    if plant is not link_to_own_file:
        alice.record.unlink()
    plant(alice.record)
    os.chown(alice.record, alice.uid, alice.gid, follow_symlinks=False)
    if plant is device:
        alice.record.chmod(0o600)
    started = time.monotonic()
    refused(log_in("alice", arguments=("nullok",)), log, reason)
    assert time.monotonic() - started < 10


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
        refused(log_in("alice"), log, f"found mode {mode:04o}; meant is writable by its owner only")


def test_a_record_that_its_user_may_not_read(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.record.chmod(0o000)
    refused(log_in("alice"), log, '/home/alice/.auth_gpg: found "Permission denied"')


def test_owners(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log
) -> None:
    os.chown(alice.record, 0, 0)
    alice.record.chmod(0o644)
    assert log_in("alice").verdict == "PAM_SUCCESS", "root's own"
    mallory = account("mallory")
    os.chown(alice.record, mallory.uid, alice.gid)
    log.clear()
    refused(log_in("alice"), log, f"found owner uid {mallory.uid}; meant is owned by alice or root")


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
    """The mask of a list shows as the group's bits, and says nothing of the group."""
    account("mallory")
    subprocess.run(["setfacl", "-m", "u:mallory:rw", alice.record], check=True)
    refused(log_in("alice"), log, "private group without other members")


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_home_that_others_may_write_is_refused(
    alice: Account, log_in: Callable[..., Asked], log: Log, mode: int
) -> None:
    """Else another could put a record of his own in place: sshd's StrictModes."""
    alice.home.chmod(mode)
    refused(log_in("alice"), log, f"/home/alice: found mode {mode:04o}")


def test_a_keyring_that_others_may_write_is_refused(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.gnupg.chmod(0o777)
    refused(log_in("alice"), log, "/home/alice/.gnupg: found mode 0777")


@pytest.mark.parametrize("name", ["pubring.kbx", "trustdb.gpg"])
@pytest.mark.parametrize("how", ["writable by all", "another's", "a link to another's"])
def test_a_keyring_file_that_others_may_write_is_refused(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log,
    name: str, how: str,
) -> None:  # fmt: skip
    """Else another could put a key of his own for the record's address there."""
    alice.run("gpg", "--batch", "--check-trustdb")
    mallory = account("mallory")
    path = alice.gnupg / name
    if how == "writable by all":
        path.chmod(0o666)
    elif how == "another's":
        os.chown(path, mallory.uid, mallory.gid)
    else:
        path.rename(mallory.home / name)
        path.symlink_to(mallory.home / name)
        mallory.home.chmod(0o755)
        os.chown(mallory.home / name, alice.uid, alice.gid)
    refused(
        log_in("alice"),
        log,
        f"{name}: found" if "link" not in how else "/home/mallory: found owner",
    )


def test_a_record_in_a_world_writable_directory_counts_only_if_that_is_sticky(
    alice: Account, log_in: Callable[..., Asked], log: Log, place: Path
) -> None:
    shared = place / "shared"
    shared.mkdir()
    record = shared / "alice"
    record.write_bytes(alice.record.read_bytes())
    alice.own(record, 0o600)
    arguments = (f"auth_file={shared}/%u",)
    shared.chmod(0o1777)
    assert log_in("alice", arguments=arguments).verdict == "PAM_SUCCESS"
    shared.chmod(0o777)
    log.clear()
    refused(log_in("alice", arguments=arguments), log, f"{shared}: found mode 0777")


def test_a_sticky_directory_counts_only_if_it_is_root_s(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log,
    place: Path,
) -> None:  # fmt: skip
    """Its owner may put another file in place of any in it."""
    mallory = account("mallory")
    shared = place / "mallory-s"
    shared.mkdir()
    record = shared / "alice"
    record.write_bytes(alice.record.read_bytes())
    alice.own(record, 0o600)
    mallory.own(shared, 0o1777)
    refused(
        log_in("alice", arguments=(f"auth_file={shared}/%u",)), log, f"{shared}: found owner uid"
    )


def test_a_missing_directory_is_a_missing_record(
    alice: Account, ask: Callable[..., Asked], log: Log
) -> None:
    asked = ask("alice", arguments=("auth_file=/etc/trex-none/users/%u",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert ": no record: " in log.verdict()


def test_a_file_in_the_place_of_a_directory_is_not_a_missing_record(
    alice: Account, ask: Callable[..., Asked], log: Log
) -> None:
    asked = ask("alice", arguments=("auth_file=/etc/passwd/%u", "nullok"))
    refused(asked, log, "/etc/passwd")


def test_what_is_only_odd_is_a_warning(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.write(alice.record.read_text() + "bob@example.org trust nosign\n")
    assert log_in("alice").verdict == "PAM_SUCCESS"
    [warning] = log.trex("second record")
    assert warning.startswith("<84>"), "authpriv.warning"


def test_central_mode(
    account: Callable[[str], Account],
    log_in: Callable[..., Asked],
    log: Log,
    holder: Holder,
    keys: Keys,
) -> None:
    """Users cannot edit their own record: neither it nor the keyring is theirs."""
    account("carol")
    subprocess.run(["useradd", "--system", "--user-group", "--home-dir", "/var/lib/trex",
                    "--shell", "/usr/sbin/nologin", "_trex"], check=True)  # fmt: skip
    users, state = Path("/etc/trex/users"), sandbox.PLACE / "central/gnupg"
    users.mkdir(parents=True)
    state.mkdir(parents=True, mode=0o700)
    try:
        subprocess.run(["chown", "_trex:_trex", state], check=True)
        subprocess.run(
            ["setpriv", "--reuid=_trex", "--regid=_trex", "--clear-groups", "env", "-i", "gpg",
             "--homedir", state, "--batch", "--quiet", "--no-autostart", "--import"],
            input=holder.public(keys["cv25519"]), check=True,
        )  # fmt: skip
        (users / "carol").write_text(f"{keys['cv25519']} trust nosign\n")
        (users / "carol").chmod(0o640)
        subprocess.run(["chgrp", "_trex", users / "carol"], check=True)
        arguments = ("auth_file=/etc/trex/users/%u", f"gnupg_home={state}", "run_as=_trex")
        assert log_in("carol", arguments=arguments).verdict == "PAM_SUCCESS"
        Path("/home/carol/.auth_gpg").write_text("mallory@example.org trust nosign\n")
        assert log_in("carol", arguments=arguments).verdict == "PAM_SUCCESS"
        subprocess.run(["chown", "carol", users / "carol"], check=True)
        log.clear()
        refused(log_in("carol", arguments=arguments), log, "owned by _trex or root")
    finally:
        subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


def test_a_home_whose_name_is_not_utf_8(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    """Old systems have them: the path must come out as the same bytes, also for gpg."""
    odd = b"/home/al\xefce"
    os.rename(alice.home, odd)
    passwd = Path("/etc/passwd")
    passwd.write_bytes(passwd.read_bytes().replace(b":/home/alice:", b":" + odd + b":"))
    try:
        assert log_in("alice").verdict == "PAM_SUCCESS"
        Path(os.fsdecode(odd), ".auth_gpg").chmod(0o666)
        log.clear()
        refused(log_in("alice"), log, r"/home/al\udcefce/.auth_gpg: found mode 0666")
    finally:
        passwd.write_bytes(passwd.read_bytes().replace(b":" + odd + b":", b":/home/alice:"))
        os.rename(odd, alice.home)


def test_a_home_behind_a_link(alice: Account, log_in: Callable[..., Asked], place: Path) -> None:
    """As where /home is a link to another disk."""
    real = Path("/home/disk/alice")
    real.parent.mkdir()
    alice.home.rename(real)
    alice.home.symlink_to(real)
    try:
        assert log_in("alice").verdict == "PAM_SUCCESS"
    finally:
        alice.home.unlink()
        real.rename(alice.home)
        real.parent.rmdir()


def test_a_user_whose_name_is_not_ascii(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    """The interpreter may have ASCII as its encoding: Debian 13 without a locale."""
    passwd, group = Path("/etc/passwd"), Path("/etc/group")
    kept = passwd.read_bytes(), group.read_bytes()
    for path, content in zip((passwd, group), kept, strict=True):
        path.write_bytes(content.replace(b"\nalice:", "\nälice:".encode()))
    alice.record.chmod(0o664)  # her private group has her name
    try:
        asked = log_in("älice")
        assert asked.verdict == "PAM_SUCCESS"
        assert "to log in as älice" in asked.prompt
        assert "user=älice " in log.verdict()
    finally:
        passwd.write_bytes(kept[0])
        group.write_bytes(kept[1])
