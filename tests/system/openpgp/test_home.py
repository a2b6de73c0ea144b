"""A user's home: nothing in it is changed, and nothing in it locks its owner out."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys


def test_a_broken_gpg_conf_locks_nobody_out(alice: Account, log_in: Callable[..., Asked]) -> None:
    alice.write("no-such-option\n", ".gnupg/gpg.conf")
    assert log_in("alice").verdict == "PAM_SUCCESS"
    (alice.gnupg / "gpg.conf").unlink()
    (alice.gnupg / "gpg.conf").mkdir()
    assert log_in("alice").verdict == "PAM_SUCCESS"


@pytest.mark.parametrize("kind", ["unsigned", "signed", "refused"])
def test_nothing_in_the_home_changes(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], kind: str
) -> None:
    """Advisory CVE-2024-47191, google-authenticator-libpam #13: no file is created or rewritten."""
    if kind == "signed":
        alice.import_keys(holder.secret(keys["signing"]))
        alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    if kind == "refused":
        alice.write("nobody@example.org trust nosign\n")
    planted = alice.gnupg / ".#lk0x1.host.1"
    planted.symlink_to("/etc/shadow")
    (alice.gnupg / "pubring.kbx.lock").write_text("         1\n")
    before = sandbox.listing(alice.home)
    log_in("alice")
    assert sandbox.listing(alice.home) == before
    assert all(
        entry[1] != 0 for name, entry in before.items() if "lk" not in name and "lock" not in name
    )


def test_a_stale_lock_keeps_nobody_out(alice: Account, log_in: Callable[..., Asked]) -> None:
    (alice.gnupg / "pubring.kbx.lock").write_text(f"{os.getpid():10d}\nsomewhere\n")
    started = time.monotonic()
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert time.monotonic() - started < 50


def test_a_lock_on_the_keyring_s_directory_keeps_nobody_out(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    """Any local user can hold one on a directory that they may open."""
    alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    alice.gnupg.chmod(0o755)
    directory = os.open(alice.gnupg, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    try:
        assert log_in("alice").verdict == "PAM_SUCCESS"
    finally:
        os.close(directory)


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
        refused(
            log_in("alice"),
            log,
            r"/home/al\udcefce/.auth_gpg: expected writable by its owner only, found mode 0666",
        )
    finally:
        passwd.write_bytes(passwd.read_bytes().replace(b":" + odd + b":", b":/home/alice:"))
        os.rename(odd, alice.home)


def test_a_home_behind_a_link(alice: Account, log_in: Callable[..., Asked]) -> None:
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
