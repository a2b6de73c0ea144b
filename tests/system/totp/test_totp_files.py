"""The file with the secret: unsafe, on a full disk, locked, planted, left by a crash."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, otp_file, text, write_altered_service
from trex.system.rewriting import name_beside, take_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account, Asked, Log


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.chmod(0o640), "found mode 0640"),
        (lambda path: path.chmod(0o604), "found mode 0604"),
        (lambda path: os.chown(path, 0, 0), "Permission denied"),
        (lambda path: (path.rename(f"{path}.x"), path.symlink_to(f"{path}.x")), "a symbolic link"),
        (fifo, "a FIFO"),
        (lambda path: path.write_bytes(b"A" * 70_000), "a larger file"),
        (lambda path: path.write_bytes(b""), "no secret"),
        (lambda path: path.parent.chmod(0o777), "found mode 0777"),
    ],
)
def test_an_unfit_file_is_refused_before_anything_is_asked(
    bob: Account, trex_otp: Callable[..., Asked], log: Log,
    spoil: Callable[[Path], object], reason: str,
) -> None:  # fmt: skip
    """Advisory CVE-2019-12209: and root opens none of them."""
    spoil(bob.write(text('" TOTP_AUTH', "12345678"), FILE))
    asked = trex_otp("bob", "12345678", "nullok")
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    assert reason in log.verdict()


@pytest.fixture
def small_home(bob: Account) -> Iterator[Account]:
    """A home on a file system of its own."""
    options = f"size=32k,mode=700,uid={bob.uid},gid={bob.gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "trex-home", bob.home], check=True)
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    yield bob
    subprocess.run(["umount", "--lazy", bob.home], check=True)


def test_a_full_disk_leaves_the_file_whole_and_refuses(
    small_home: Account, trex_otp: Callable[..., Asked], log: Log
) -> None:
    """google-authenticator-libpam #13 and #177: a full disk emptied the file and locked its owner out."""
    before = otp_file(small_home).read_bytes()
    filler = small_home.home / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, capture_output=True)
    assert trex_otp("bob", "12345678").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "No space left on device" in log.verdict()
    assert otp_file(small_home).read_bytes() == before
    assert sorted(os.listdir(small_home.home)) == [FILE, "filler"]
    filler.unlink()
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"


def test_a_read_only_home_refuses(
    small_home: Account, trex_otp: Callable[..., Asked], log: Log
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_home.home], check=True)
    assert trex_otp("bob", "12345678").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "Read-only file system" in log.verdict()
    subprocess.run(["mount", "-o", "remount,rw", small_home.home], check=True)
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"


def test_a_home_that_its_owner_cannot_list_serves(
    bob: Account, trex_otp: Callable[..., Asked]
) -> None:
    """The file was replaced and the code spent, and then the login was refused, each time."""
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    bob.home.chmod(0o300)
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"


def test_a_crash_before_the_rename_leaves_the_old_file(
    bob: Account, client: Path, stacks: dict[str, str], log: Log
) -> None:
    """The next login removes what it leaves behind.

    pam_usb #438: such a file kept its owner out until somebody removed it.
    """
    service = write_altered_service(
        "otp-crash",
        "system/rewriting.py",
        "os.rename(new, name, src_dir_fd=beside, dst_dir_fd=directory)",
        "os.kill(os.getpid(), 9)",
    )
    path = bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    before, beside = path.read_bytes(), path.with_name(name_beside(FILE))
    with pytest.raises(AssertionError, match="returncode=-9"):
        sandbox.ask_pam(client, service, "bob", "--answer", "12345678")
    assert path.read_bytes() == before
    assert {entry.stat().st_uid for entry in (beside, *beside.iterdir())} == {bob.uid}
    asked = sandbox.ask_pam(client, stacks["trex"], "bob", "--answer", "12345678")
    assert asked.verdict == "PAM_SUCCESS"
    assert not beside.exists()


def test_planted_files_lead_nowhere_and_nothing_becomes_root_s(
    bob: Account, trex_otp: Callable[..., Asked], place: Path
) -> None:
    """Advisory CVE-2024-47191 (oath-toolkit): root followed links in the user's home."""
    path = bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    victim = place / "victim"
    victim.write_text("root's")
    beside = path.with_name(name_beside(FILE))
    beside.mkdir()
    bob.own(beside, 0o700)
    (beside / ("0" * 32)).symlink_to(victim)
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"
    assert not beside.exists()
    assert victim.read_text() == "root's"
    assert {entry.lstat().st_uid for entry in bob.home.rglob("*")} == {bob.uid}


def test_a_lock_that_another_process_holds_keeps_nobody_out(
    bob: Account, trex_otp: Callable[..., Asked]
) -> None:
    path = bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    holder = subprocess.Popen(["flock", path, "sleep", "600"], user=bob.uid, group=bob.gid,
                              start_new_session=True)  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        with path.open() as here:
            while take_turn(here.fileno(), 0):  # until it has it
                fcntl.flock(here, fcntl.LOCK_UN)
                assert time.monotonic() < deadline
        assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"
    finally:
        os.killpg(holder.pid, 9)
        holder.wait()
