"""`trex enroll` without a key: one field of a record changes, and its keys stay."""

from __future__ import annotations

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

CENTRAL = sandbox.PLACE / "central"


@pytest.mark.parametrize("files", [False, True], ids=["keyring", "files"])
def test_in_central_mode_one_field_changes_and_the_keys_of_many_stay(
    account: Callable[[str], Account], holder: Holder, keys: Keys, central: list[str],
    log_in: Callable[..., Asked], *, files: bool,
) -> None:  # fmt: skip
    option = ["--key-file", f"{CENTRAL}/keys/%u.pgp"] if files else []
    enroll = ["enroll", "--central", *options_of(central), "--user"]
    for name, key in (("bob", "cv25519"), ("carol", "nistp256")):
        account(name)
        done = trex(*enroll, name, *option, "--key", "-", "--yes", stdin=holder.public(keys[key]))
        assert done.returncode == 0, done.stderr
    record = CENTRAL / "users/bob"
    *head, line = record.read_text().splitlines()
    assert head[-1] == f"# trex: uid={Path('/home/bob').stat().st_uid}"
    done = trex(*enroll, "bob", "--page", "webQrAuthTls", "--yes")
    assert done.returncode == 0, done.stderr
    assert record.read_text().splitlines() == [*head, f"{line} webQrAuthTls"]
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"
    terminal = on_terminal(*enroll, "bob", "--page", "none")
    terminal.expect("Shall .* be written?")
    assert f"+{line}" in terminal.before
    terminal.sendline("y")
    assert finish(terminal) == 0
    assert record.read_text().splitlines() == [*head, line]
    again = trex(*enroll, "bob", "--page", "none", "--yes")
    assert "up to date" in again.stderr


def test_several_keys_of_which_one_is_in_a_file_stay_as_they_are_named(
    bob: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    bob.import_keys(holder.public(keys["cv25519"], keys["nistp256"], keys["rsa2048"]))
    file = bob.write(holder.public(keys["rsa2048"]), "spare.pgp")
    named = f"cv25519@example.org,{keys['nistp256']},{file}"
    bob.write(f"# mine\n{named} trust nosign\n# the end\n")
    done = trex("enroll", "--page", "webQrAuthTls", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert bob.record.read_text() == f"# mine\n{named} trust nosign webQrAuthTls\n# the end\n"
    assert log_in("bob").verdict == "PAM_SUCCESS"


def test_signed_challenges_for_one_who_is_enrolled(
    bob: Account, holder: Holder, keys: Keys, central: list[str], log_in: Callable[..., Asked]
) -> None:
    enroll = ["enroll", "--central", *options_of(central), "--user", "bob", "--yes"]
    assert trex(*enroll, "--key", "-", stdin=holder.public(keys["cv25519"])).returncode == 0
    record = CENTRAL / "users/bob"
    before = record.read_text()
    refused = trex(*enroll, "--sign-as", keys["nistp256"])
    assert refused.returncode == 1  # the keyring does not have it
    assert record.read_text() == before
    done = trex(*enroll, "--sign-as", keys["nistp256"], "--no-proof")
    assert done.returncode == 0, done.stderr
    assert record.read_text().endswith(f"{keys['cv25519']} trust {keys['nistp256']}\n")
    assert trex(*enroll, "--sign-as", "nosign").returncode == 0
    assert record.read_text() == before
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_where_a_key_is_named_it_is_taken(alice: Account, holder: Holder, keys: Keys) -> None:
    alice.write(holder.public(keys["nistp256"]), "new.asc")
    done = trex("enroll", "--key", "new.asc", "--page", "webQrAuthTls", "--yes", account=alice)
    assert done.returncode == 0, done.stderr
    assert record_of(alice) == f"{keys['nistp256']} trust nosign webQrAuthTls"


def test_a_record_that_cannot_be_read_is_not_replaced_by_one_field(alice: Account) -> None:
    alice.write("somebody trust nosign\n")
    done = trex("enroll", "--page", "webQrAuthTls", "--yes", account=alice)
    assert done.returncode == 1
    assert ".auth_gpg:1: expected" in done.stderr
    assert alice.record.read_text() == "somebody trust nosign\n"


def test_the_keys_of_a_predecessor_are_not_kept(
    bob: Account, holder: Holder, keys: Keys, central: list[str]
) -> None:
    """A record that was made for another account of that name."""
    record = CENTRAL / "users/bob"
    record.write_text(f"# trex: uid={bob.uid + 1}\n{keys['cv25519']} trust nosign\n")
    before = record.read_text()
    enroll = ["enroll", "--central", *options_of(central), "--user", "bob", "--yes", "--no-proof"]
    done = trex(*enroll, "--page", "webQrAuthTls")
    assert done.returncode == 1
    assert record.read_text() == before
    done = trex(*enroll, "--same-person")
    assert done.returncode == 0, done.stderr
    assert record.read_text() == before.replace(str(bob.uid + 1), str(bob.uid))


def test_of_a_long_keyring_the_hint_names_a_few_keys(
    bob: Account, place: Path, holder: Holder, keys: Keys, central: list[str]
) -> None:
    seven = [keys[f"cv25519-{number}"] for number in range(7)]
    bob.import_keys(holder.public(*seven))
    done = trex("enroll", "--yes", account=bob)
    assert done.returncode == 1
    assert sum(key in done.stderr for key in seven) == 5
    assert ", and 2 more" in done.stderr
