"""A user's home: nothing in it changes, and nothing in it keeps its owner out."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.keys import Holder
    from tests.sandbox import Account, Asked
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
    """Advisory CVE-2024-47191, google-authenticator-libpam #13: no file made, none rewritten.

    Where gpg-agent signs, it makes its sockets in one directory and removes them, and sets the
    mode of another anew.
    """
    if kind == "signed":
        alice.import_keys(holder.secret(keys["signing"]))
        alice.write(f"{keys['cv25519']} trust signing@example.org\n")
        log_in("alice")
    if kind == "refused":
        alice.write("nobody@example.org trust nosign\n")
    planted = alice.gnupg / ".#lk0x1.host.1"
    planted.symlink_to("/etc/shadow")
    (alice.gnupg / "pubring.kbx.lock").write_text("         1\n")
    leave_out = (".gnupg", "private-keys-v1.d") if kind == "signed" else ()
    before = sandbox.listing(alice.home, *leave_out)
    log_in("alice")
    assert sandbox.listing(alice.home, *leave_out) == before
    assert all(
        entry[1] != 0 for name, entry in before.items() if "lk" not in name and "lock" not in name
    )


def test_a_stale_lock_keeps_nobody_out(alice: Account, log_in: Callable[..., Asked]) -> None:
    (alice.gnupg / "pubring.kbx.lock").write_text(f"{os.getpid():10d}\nsomewhere\n")
    started = time.monotonic()
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert time.monotonic() - started < 10


def test_a_lock_on_the_keyring_s_directory_keeps_nobody_out(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    """Any local user can hold one on a directory that he may open."""
    alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    alice.gnupg.chmod(0o755)
    blocker = subprocess.Popen(["flock", alice.gnupg, "sleep", "60"], start_new_session=True)
    try:
        assert log_in("alice", arguments=("gpg_timeout=5",)).verdict == "PAM_SUCCESS"
    finally:
        os.killpg(blocker.pid, signal.SIGKILL)
        blocker.wait()
