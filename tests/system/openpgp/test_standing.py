"""A key that ends while its prompt is open: the right response comes too late. Real gpg, both doors."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import options_of, trex
from tests.support.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys


@pytest.fixture
def owner(place: Path) -> Iterator[Owner]:
    owner = Owner(place / "owner-of-an-open-prompt")
    yield owner
    owner.remove()


@pytest.fixture
def robbed(alice: Account, owner: Owner) -> Account:
    alice.import_keys(owner.public())
    alice.write(f"{owner.stolen},{owner.spare} trust nosign\n")
    return alice


def answered(prompt: OpenPrompt, owner: Holder) -> str:
    opened = owner.decrypt(prompt.text)
    assert opened.ok, opened.stderr
    return prompt.answer(str(opened).strip()).verdict


def revoke_in_the_home(owner: Owner, _: Account) -> None:
    done = trex("revoke", "--user", "alice", "--yes", "-", stdin=owner.certificate())
    assert done.returncode == 0, done.stderr


def take_out(owner: Owner, _: Account) -> None:
    done = trex("revoke", "--user", "alice", "--yes", owner.stolen)
    assert done.returncode == 0, done.stderr


def edit_the_record(owner: Owner, robbed: Account) -> None:
    robbed.write(f"{owner.spare} trust nosign\n")


def import_it_with_gpg(owner: Owner, robbed: Account) -> None:
    robbed.import_keys(owner.revoked())


ENDS = [revoke_in_the_home, take_out, edit_the_record, import_it_with_gpg]


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize("end", ENDS)
def test_a_challenge_for_a_key_that_ended_meanwhile_lets_nobody_in(
    robbed: Account, owner: Owner, prompt: Callable[..., OpenPrompt], log: Log,
    end: Callable[[Owner, Account], None],
) -> None:  # fmt: skip
    """The stolen key has its prompt already: revoking it ends that, too."""
    begun = prompt("alice")
    log.clear()
    end(owner, robbed)
    assert answered(begun, owner) == "PAM_AUTHINFO_UNAVAIL"
    line = log.verdict()
    assert ": could not check: " in line
    reason = "was revoked, expired or left the record while its prompt was open"
    assert f": the key {owner.stolen} {reason}" in line


def test_a_record_that_is_removed_meanwhile_lets_nobody_in_with_nullok_either(
    robbed: Account, owner: Owner, prompt: Callable[..., OpenPrompt], log: Log
) -> None:
    begun = prompt("alice", arguments=("nullok",))
    log.clear()
    robbed.record.unlink()
    assert answered(begun, owner) == "PAM_AUTHINFO_UNAVAIL"
    assert "/home/alice/.auth_gpg: no such file" in log.verdict()


def test_a_record_that_becomes_another_account_s_meanwhile_lets_nobody_in(
    robbed: Account, owner: Owner, prompt: Callable[..., OpenPrompt], log: Log
) -> None:
    begun = prompt("alice")
    log.clear()
    robbed.write(f"# trex: uid={robbed.uid + 1}\n{owner.stolen},{owner.spare} trust nosign\n")
    assert answered(begun, owner) == "PAM_AUTHINFO_UNAVAIL"
    assert f"found uid={robbed.uid + 1}: it was made for another account" in log.verdict()


def test_a_key_file_that_is_revoked_or_removed_meanwhile(
    robbed: Account, owner: Owner, central: list[str], prompt: Callable[..., OpenPrompt]
) -> None:
    users = Path(central[0].removeprefix("auth_file=")).parent
    file = users / "alice.pgp"
    (users / "alice").write_text(f"{file} trust nosign\n")
    for what, stdin in (("-", owner.certificate()), (owner.stolen, b"")):
        file.write_bytes(owner.public(owner.stolen))
        begun = prompt("alice", arguments=tuple(central))
        command = ["revoke", *options_of(central), "--user", "alice", "--yes", what]
        assert trex(*command, stdin=stdin).returncode == 0
        assert answered(begun, owner) == "PAM_AUTHINFO_UNAVAIL"


@pytest.mark.usefixtures("door")
def test_what_others_import_meanwhile_keeps_nobody_out(
    robbed: Account, owner: Owner, holder: Holder, keys: Keys, prompt: Callable[..., OpenPrompt]
) -> None:
    """Also another key more in the record: these of the challenge still count."""
    begun = prompt("alice")
    robbed.import_keys(holder.public(keys["nistp256"]))
    robbed.write(f"# new\n{owner.spare},{owner.stolen},{keys['nistp256']} trust nosign\n")
    assert answered(begun, owner) == "PAM_SUCCESS"


def test_a_subkey_that_the_record_names_alone(
    robbed: Account, owner: Owner, keys: Keys, holder: Holder, prompt: Callable[..., OpenPrompt]
) -> None:
    robbed.write(f"{owner.subkey()}! trust nosign\n")
    for change, verdict in ((holder.public(keys["nistp256"]), "PAM_SUCCESS"),
                            (owner.revoked(), "PAM_AUTHINFO_UNAVAIL")):  # fmt: skip
        begun = prompt("alice")
        robbed.import_keys(change)
        assert answered(begun, owner) == verdict


def test_a_wrong_response_is_wrong_whatever_has_ended(
    robbed: Account, owner: Owner, prompt: Callable[..., OpenPrompt]
) -> None:
    """Nobody learns from the verdict whether a key was revoked."""
    begun = prompt("alice")
    edit_the_record(owner, robbed)
    assert begun.answer("x").verdict == "PAM_AUTH_ERR"


def test_a_keyring_that_cannot_be_read_any_more_lets_nobody_in(
    robbed: Account, owner: Owner, prompt: Callable[..., OpenPrompt], log: Log
) -> None:
    begun = prompt("alice")
    log.clear()
    shutil.rmtree(robbed.gnupg)
    assert answered(begun, owner) == "PAM_AUTHINFO_UNAVAIL"
    assert "no keyring" in log.verdict()


def test_a_subkey_that_is_revoked_meanwhile_while_the_key_has_another(
    robbed: Account, owner: Owner, prompt: Callable[..., OpenPrompt], log: Log
) -> None:
    """What was stolen is a laptop with a subkey of its own: its owner keeps the key."""
    owner.stolen = owner.make("laptops@example.org", at="20200101T000000")
    owner._run("--quick-add-key", owner.stolen, "cv25519", "encr", "never")
    robbed.import_keys(owner.public(owner.stolen))
    robbed.write(f"{owner.stolen} trust nosign\n")
    begun = prompt("alice")
    log.clear()
    owner.edit("key 2", "revkey", "y", "0", "", "y")
    robbed.import_keys(owner.public(owner.stolen))
    assert answered(begun, owner) == "PAM_AUTHINFO_UNAVAIL"
    assert f"the key {owner.stolen} was revoked, expired or left" in log.verdict()
    assert answered(prompt("alice"), owner) == "PAM_SUCCESS", "to the subkey that is left"
