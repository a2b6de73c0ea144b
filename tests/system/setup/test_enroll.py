"""`trex enroll`: where the key comes from, and real logins after it; central mode."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import finish, on_terminal, options_of, record_of, trex

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys


@pytest.mark.parametrize("who", ["the user", "root"])
@pytest.mark.parametrize("source", ["file", "standard input"])
def test_enrolling_makes_a_login_work(
    bob: Account, key_file: Path, keys: Keys, log_in: Callable[..., Asked], who: str, source: str
) -> None:
    name = str(key_file) if source == "file" else "-"
    done = trex("enroll", "--user", "bob", "--key", name, "--yes",
                account=bob if who == "the user" else None, stdin=key_file.read_bytes())  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert keys["cv25519"] in done.stderr
    assert "cv25519@example.org" in done.stderr
    assert "Not proved" in done.stderr
    assert record_of(bob) == f"{keys['cv25519']} trust nosign"
    assert stat.S_IMODE(bob.gnupg.stat().st_mode) == 0o700
    assert {path.stat().st_uid for path in bob.gnupg.rglob("*")} == {bob.uid}
    assert log_in("bob").verdict == "PAM_SUCCESS"


def test_a_key_from_the_keyring(bob: Account, holder: Holder, keys: Keys) -> None:
    bob.import_keys(holder.public(keys["cv25519"]))
    done = trex("enroll", "--from-keyring", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert record_of(bob) == f"{keys['cv25519']} trust nosign"


def test_without_a_network_wkd_fails_with_a_hint(bob: Account) -> None:
    done = trex("enroll", "--locate", "nobody@invalid.invalid", "--yes", account=bob, seconds=90)
    assert done.returncode == 1
    assert "trex: error: no key for nobody@invalid.invalid" in done.stderr
    assert "trex: hint: a Web Key Directory needs the network" in done.stderr
    assert not bob.record.exists()


def test_of_several_keys_one_is_asked_for(
    bob: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    both = keys["cv25519"], keys["nistp256"]
    bob.write(holder.public(*both), "key.asc")
    silent = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert silent.returncode == 1
    assert "several keys" in silent.stderr
    assert all(fingerprint in silent.stderr for fingerprint in both)
    assert not bob.record.exists()
    named = trex("enroll", "--key", "key.asc", "--yes", "--fingerprint", both[1], account=bob)
    assert named.returncode == 0, named.stderr
    assert record_of(bob) == f"{both[1]} trust nosign"
    assert both[0] not in bob.run("gpg", "--list-keys").decode()
    terminal = on_terminal("enroll", "--key", "key.asc", "--no-proof", account=bob)
    terminal.expect("Which key, 1 to 2")
    first = both[0] if terminal.before.index(both[0]) < terminal.before.index(both[1]) else both[1]
    terminal.sendline("1")
    terminal.expect("right fingerprint")
    terminal.sendline("y")
    assert finish(terminal) == 0
    assert record_of(bob) == f"{first} trust nosign"


def test_a_spare_key_is_added(bob: Account, key_file: Path, holder: Holder, keys: Keys) -> None:
    assert trex("enroll", "--key", "key.asc", "--yes", account=bob).returncode == 0
    bob.write(holder.public(keys["rsa2048"]), "spare.asc")
    done = trex("enroll", "--key", "spare.asc", "--add", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert record_of(bob) == f"{keys['cv25519']},{keys['rsa2048']} trust nosign"


def test_a_record_that_its_reader_cannot_read_is_fixed(
    bob: Account, key_file: Path, central: list[str], log_in: Callable[..., Asked]
) -> None:
    """As a configuration tool leaves it that sets only owner and mode."""
    enroll = ["enroll", "--central", *options_of(central), "--user", "bob", "--key", "-", "--yes"]
    assert trex(*enroll, stdin=key_file.read_bytes()).returncode == 0
    record = sandbox.PLACE / "central/users/bob"
    os.chown(record, 0, 0)
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_AUTHINFO_UNAVAIL"
    done = trex(*enroll, stdin=key_file.read_bytes())
    assert done.returncode == 0, done.stderr
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_of_a_keyring_that_many_share_no_key_is_taken_unasked(
    bob: Account, carol: Account, key_file: Path, central: list[str], keys: Keys
) -> None:
    """Otherwise the only user in it could log in as the next one who is set up."""
    enroll = ["enroll", "--central", *options_of(central), "--user"]
    assert trex(*enroll, "bob", "--key", "-", "--yes", stdin=key_file.read_bytes()).returncode == 0
    for source in ([], ["--from-keyring"]):
        done = trex(*enroll, "carol", *source, "--yes")
        assert done.returncode == 1
        assert "the keyring may hold other users' keys: which one?" in done.stderr
        assert f"--fingerprint with one of: {keys['cv25519']}" in done.stderr
    record = sandbox.PLACE / "central/users/carol"
    assert not record.exists()
    named = [*enroll, "carol", "--fingerprint", keys["cv25519"], "--yes"]
    assert trex(*named).returncode == 0
    assert record.read_text().endswith(f"{keys['cv25519']} trust nosign\n")


def test_central_mode(
    bob: Account, key_file: Path, central: list[str], log_in: Callable[..., Asked], keys: Keys
) -> None:
    places = options_of(central)
    done = trex("enroll", "--central", *places, "--user", "bob", "--key", "-", "--yes",
                stdin=key_file.read_bytes())  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = sandbox.PLACE / "central/users/bob"
    status = record.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o640)
    assert not bob.record.exists()
    assert not bob.gnupg.exists()
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"
    shown = trex("show", "--central", *places, "--user", "bob")
    assert shown.returncode == 0, shown.stderr
    assert keys["cv25519"] in shown.stdout
    assert trex("show", "--central", *places, account=bob).returncode == 1
    assert trex("remove", "--central", *places, "--user", "bob", "--yes").returncode == 0
    assert not record.exists()
