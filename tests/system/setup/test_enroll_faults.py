"""`trex enroll` where something goes wrong: disks, homes, signals, logins meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import finish, leftovers, on_terminal, trex
from tests.support.mounts import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys


@pytest.fixture
def full_disk(alice: Account, tmp_path: Path) -> Iterator[Account]:
    """alice's home on a separate file system that is full."""
    kept = tmp_path / "home"
    subprocess.run(["cp", "-a", alice.home, kept], check=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "full", alice.home], check=True
    )
    subprocess.run(["cp", "-a", f"{kept}/.", alice.home], check=True)
    alice.own(alice.home, 0o755)
    filler = alice.home / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    yield alice
    subprocess.run(["umount", "--lazy", alice.home], check=True)


def test_a_full_disk_leaves_the_record_as_it_was(full_disk: Account, keys: Keys) -> None:
    old = full_disk.record.read_bytes()
    done = trex("enroll", "--from-keyring", "--notrust", "--no-proof", "--yes", account=full_disk)
    assert done.returncode == 1
    assert "No space left on device; the record is unchanged" in done.stderr
    assert full_disk.record.read_bytes() == old
    assert not leftovers(full_disk)
    removed = trex("remove", "--yes", account=full_disk)
    assert removed.returncode == 1
    assert full_disk.record.read_bytes() == old


def test_a_full_disk_takes_no_key(full_disk: Account, holder: Holder, keys: Keys) -> None:
    old = full_disk.record.read_bytes()
    done = trex("enroll", "--key", "-", "--yes", account=full_disk, stdin=holder.public(keys["rsa4096"]))  # fmt: skip
    assert done.returncode == 1
    assert "trex: error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert full_disk.record.read_bytes() == old


def test_a_keyring_that_cannot_be_written_leaves_the_record_as_it_was(
    alice: Account, holder: Holder, keys: Keys
) -> None:
    old = alice.record.read_bytes()
    alice.gnupg.chmod(0o500)
    done = trex("enroll", "--key", "-", "--yes", account=alice, stdin=holder.public(keys["rsa4096"]))  # fmt: skip
    assert done.returncode == 1
    assert "trex: error: gpg did not import the key: " in done.stderr
    assert alice.record.read_bytes() == old


@pytest.mark.parametrize("kind", ["link", "directory", "FIFO"])
def test_what_is_no_file_is_not_replaced(alice: Account, kind: str) -> None:
    alice.record.unlink()
    if kind == "link":
        alice.record.symlink_to("/etc/passwd")
    elif kind == "directory":
        alice.record.mkdir()
    else:
        os.mkfifo(alice.record)
    done = trex("enroll", "--user", "alice", "--from-keyring", "--yes")
    assert done.returncode == 1
    assert str(alice.record) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["remove"], ["enroll", "--from-keyring", "--no-proof"]])
def test_root_reads_a_user_s_record_with_the_user_s_rights(
    alice: Account, command: list[str]
) -> None:
    """Otherwise a link, or a home on a file server, leads root to what the user may not read."""
    old = alice.record.read_bytes()
    os.chown(alice.record, 0, 0)
    done = trex(*command, "--user", "alice", "--yes")
    assert done.returncode == 1
    assert (
        f'trex: error: {alice.record}: expected a regular file, found "Permission denied"'
        in done.stderr
    )
    assert alice.record.read_bytes() == old
    assert not (alice.home / ".auth_gpg~").exists()


def test_a_home_that_others_may_write_is_refused(bob: Account, key_file: Path) -> None:
    bob.home.chmod(0o777)
    done = trex("enroll", "--key", "key.asc", "--yes", "--no-proof", account=bob)
    assert done.returncode == 1
    assert "expected writable by its owner only, found mode 0777" in done.stderr
    assert f"trex: hint: chmod go-w {bob.home}\n" in done.stderr
    assert not bob.record.exists()


def test_a_home_that_others_may_write_is_refused_where_nothing_changes(alice: Account) -> None:
    """A configuration tool's second run: a login is refused as well."""
    enroll = ["enroll", "--from-keyring", "--yes"]
    assert "nothing to change" in trex(*enroll, account=alice).stderr
    alice.home.chmod(0o777)
    done = trex(*enroll, account=alice)
    assert done.returncode == 1
    assert "expected writable by its owner only, found mode 0777" in done.stderr


def test_an_unreadable_home(bob: Account, key_file: Path) -> None:
    exported = key_file.read_bytes()
    bob.home.chmod(0)
    done = trex("enroll", "--user", "bob", "--key", "-", "--yes", stdin=exported)
    bob.home.chmod(0o755)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert not bob.record.exists()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Give this test an empty, private /tmp: other tests use the machine's at the same time."""
    place = Path("/tmp")
    with mounted(place, "-t", "tmpfs", "-o", "mode=1777", "trex-tmp"):
        yield place


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_moment_leaves_a_whole_record(
    alice: Account, holder: Holder, keys: Keys, temporary: Path, number: int
) -> None:
    """Nor a process, which the fixture `nothing_left` looks for."""
    alice.write(holder.public(keys["nistp256"]), "new.asc")
    old = alice.record.read_text()
    whole = {old, old.replace(keys["cv25519"], keys["nistp256"])}
    ends = set()
    for moment in [0.1, *(0.25 + 0.08 * step for step in range(12))]:
        terminal = on_terminal("enroll", "--key", "new.asc", "--fingerprint", keys["nistp256"],
                               "--yes", account=alice)  # fmt: skip
        time.sleep(moment)
        terminal.kill(number)
        ends.add(finish(terminal))
        assert alice.record.read_text() in whole
        assert not leftovers(alice)
        alice.write(old)
    assert any(ends), "at least one run was cut short"
    assert not list(temporary.iterdir())


def test_logins_while_the_record_is_replaced(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    alice.import_keys(holder.public(keys["nistp256"]))
    stop = threading.Event()
    outcomes = []

    def enrol() -> None:
        kinds = ["nistp256", "cv25519"]
        while not stop.is_set():
            kinds.reverse()
            done = trex("enroll", "--from-keyring", "--fingerprint", keys[kinds[0]], "--yes",
                        "--no-proof", account=alice)  # fmt: skip
            outcomes.append(done.returncode)

    worker = threading.Thread(target=enrol)
    worker.start()
    deadline = time.monotonic() + 120
    try:
        # Where its key has left the record meanwhile, an answer no longer counts.
        verdicts = {log_in("alice").verdict for _ in range(15)}
        while "PAM_SUCCESS" not in verdicts or len(outcomes) < 2:
            assert time.monotonic() < deadline
            verdicts.add(log_in("alice").verdict)
    finally:
        stop.set()
        worker.join()
    assert verdicts <= {"PAM_SUCCESS", "PAM_AUTHINFO_UNAVAIL"}
    assert set(outcomes) == {0}
