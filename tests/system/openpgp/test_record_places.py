"""Where a record and a keyring may lie: homes, directories that others can write, central mode."""

from __future__ import annotations

import os
import shutil
import subprocess
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


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_home_that_others_may_write_is_refused(
    alice: Account, log_in: Callable[..., Asked], log: Log, mode: int
) -> None:
    """Otherwise another user could replace the record: sshd's StrictModes."""
    alice.home.chmod(mode)
    refused(
        log_in("alice"),
        log,
        f"/home/alice: expected writable by its owner only, found mode {mode:04o}",
    )


def test_a_keyring_that_others_may_write_is_refused(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.gnupg.chmod(0o777)
    refused(
        log_in("alice"),
        log,
        "/home/alice/.gnupg: expected writable by its owner only, found mode 0777",
    )


def test_a_database_of_keys_that_others_may_write_is_refused(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    """GnuPG 2.4's keyboxd has it, in a directory."""
    (alice.gnupg / "public-keys.d").mkdir(mode=0o700)
    alice.own(alice.gnupg / "public-keys.d", 0o700)
    assert log_in("alice").verdict == "PAM_SUCCESS"
    log.clear()
    alice.write("", ".gnupg/public-keys.d/pubring.db").chmod(0o666)
    refused(
        log_in("alice"), log, "pubring.db: expected writable by its owner only, found mode 0666"
    )


@pytest.mark.parametrize("name", ["public-keys.d", "private-keys-v1.d", "common.conf"])
def test_what_else_a_keyring_is_made_of_is_looked_at(
    alice: Account, log_in: Callable[..., Asked], log: Log, name: str
) -> None:
    """Whoever may write into a directory of keys puts another database there."""
    path = alice.gnupg / name
    if name == "common.conf":
        path.touch()
    else:
        path.mkdir(exist_ok=True)
    alice.own(path, 0o777)
    refused(log_in("alice"), log, f"{name}: expected writable by its owner only, found mode 0777")


@pytest.mark.parametrize("owner", ["another's", "a link to another's"])
def test_a_database_of_keys_of_another_account_s_is_refused(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log,
    owner: str,
) -> None:  # fmt: skip
    directory = alice.gnupg / "public-keys.d"
    directory.mkdir()
    alice.own(directory, 0o700)
    mallory = account("mallory")
    database = alice.write("", ".gnupg/public-keys.d/pubring.db")
    if owner == "another's":
        os.chown(database, mallory.uid, mallory.gid)
    else:
        database.unlink()
        database.symlink_to(mallory.write("", "pubring.db"))
        mallory.home.chmod(0o755)
    refused(log_in("alice"), log, f"found owner uid {mallory.uid}")


@pytest.mark.parametrize("name", ["pubring.kbx", "trustdb.gpg"])
@pytest.mark.parametrize("how", ["writable by all", "another's", "a link to another's"])
def test_a_keyring_file_that_others_may_write_is_refused(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log,
    name: str, how: str,
) -> None:  # fmt: skip
    """Otherwise another user could add their own key for the record's address."""
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
        f"{name}: expected" if "link" not in how else "/home/mallory: expected owned by",
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
    refused(
        log_in("alice", arguments=arguments),
        log,
        f"{shared}: expected writable by its owner only, found mode 0777",
    )


def test_a_sticky_directory_counts_only_if_it_is_root_s(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], log: Log,
    place: Path,
) -> None:  # fmt: skip
    """Its owner can replace any file in it."""
    mallory = account("mallory")
    shared = place / "mallory-s"
    shared.mkdir()
    record = shared / "alice"
    record.write_bytes(alice.record.read_bytes())
    alice.own(record, 0o600)
    mallory.own(shared, 0o1777)
    refused(
        log_in("alice", arguments=(f"auth_file={shared}/%u",)), log, f"{shared}: expected owned by"
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
        shutil.rmtree(users)
        shutil.rmtree(state)
        subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


def test_the_copy_of_a_record_is_no_record_of_another_account(
    account: Callable[[str], Account], alice: Account, ask: Callable[..., Asked], log: Log
) -> None:
    """With a template that ends in `%u`, what is beside alice's record would be that of `alice~`."""
    records = sandbox.PLACE / "records"
    records.mkdir()
    for name in ("alice", "alice~"):
        (records / name).write_text(alice.record.read_text())
    other = account("mallory")
    passwd = Path("/etc/passwd")
    before = passwd.read_text()
    passwd.write_text(before.replace("mallory:", "alice~:"))
    try:
        asked = ask("alice~", arguments=(f"auth_file={records}/%u", f"gnupg_home={alice.gnupg}",
                                         f"run_as={alice.name}"))  # fmt: skip
    finally:
        passwd.write_text(before)
        shutil.rmtree(records)
    assert other.uid
    assert asked.verdict == "PAM_USER_UNKNOWN"
    assert "that is not a valid account name" in log.verdict()
