"""`trex enroll` asks for a response before it writes: the key at hand, pasted, or none."""

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


def test_the_secret_key_at_hand_answers(bob: Account, holder: Holder, keys: Keys) -> None:
    bob.import_keys(holder.secret(keys["cv25519"]))
    done = trex("enroll", "--from-keyring", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert "made and answered" in done.stderr


def test_the_user_pastes_the_response(
    bob: Account, key_file: Path, holder: Holder, keys: Keys
) -> None:
    terminal = on_terminal("enroll", "--key", "key.asc", account=bob)
    terminal.expect("right fingerprint")
    assert keys["cv25519"] in terminal.before
    terminal.sendline("y")
    terminal.expect("Response: ")
    terminal.sendline("ABCDEFGHIJ")
    terminal.expect("wrong response")
    terminal.expect("Response: ")
    assert not bob.record.exists()
    terminal.sendline(str(holder.decrypt(terminal.before.replace("\r\n", "\n"))).strip())
    assert finish(terminal) == 0
    assert record_of(bob) == f"{keys['cv25519']} trust nosign"


def test_without_the_right_response_the_old_record_stays(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    old = alice.record.read_bytes()
    alice.write(holder.public(keys["nistp256"]), "new.asc")
    terminal = on_terminal("enroll", "--key", "new.asc", account=alice)
    terminal.expect("right fingerprint")
    terminal.sendline("y")
    for _ in range(3):
        terminal.expect("Response: ")
        terminal.sendline("ABCDEFGHIJ")
    assert finish(terminal) == 1
    assert alice.record.read_bytes() == old
    assert log_in("alice").verdict == "PAM_SUCCESS"


def test_a_record_that_cannot_work_is_not_written(alice: Account, keys: Keys) -> None:
    old = alice.record.read_bytes()
    done = trex("enroll", "--from-keyring", "--sign-as", keys["cv25519"], "--yes", account=alice)
    assert done.returncode == 1
    assert "cannot sign" in done.stderr
    assert alice.record.read_bytes() == old


def test_no_means_no(bob: Account, key_file: Path) -> None:
    terminal = on_terminal("enroll", "--key", "key.asc", account=bob)
    terminal.expect("right fingerprint")
    terminal.sendline("n")
    assert finish(terminal) == 130
    assert not bob.record.exists()
    assert not bob.gnupg.exists()


def test_a_record_that_changed_meanwhile_is_left_alone(alice: Account) -> None:
    terminal = on_terminal("enroll", "--from-keyring", "--notrust", "--no-proof", account=alice)
    terminal.expect("right fingerprint")
    alice.write("somebody@example.org trust nosign\n")
    terminal.sendline("y")
    assert finish(terminal) == 1
    assert "another program has changed it" in terminal.before
    assert alice.record.read_text() == "somebody@example.org trust nosign\n"


def test_root_is_not_asked_for_what_only_the_user_s_key_can_answer(
    bob: Account, handed_in: Path, central: list[str], log_in: Callable[..., Asked]
) -> None:
    key = ["--key", str(handed_in), "--key-file", f"{sandbox.PLACE}/central/keys/%u.pgp"]
    terminal = on_terminal("enroll", "--central", *options_of(central), "--user", "bob", *key)
    terminal.expect("right fingerprint")
    terminal.sendline("y")
    assert finish(terminal) == 0
    assert "Not proved: a challenge was made, and nobody has answered it." in terminal.before
    assert (
        "A login of bob's proves it; where sudo asks, `trex try --service sudo`." in terminal.before
    )
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


@pytest.mark.parametrize("places", [[], ["--central"]], ids=["home", "central"])
def test_root_asks_for_it_with_prove(
    bob: Account, handed_in: Path, holder: Holder, central: list[str], places: list[str]
) -> None:
    enroll = ["enroll", *places, *(options_of(central) if places else []), "--user", "bob"]
    record = sandbox.PLACE / "central/users/bob" if places else bob.record
    terminal = on_terminal(*enroll, "--key", str(handed_in), "--prove", "--yes")
    terminal.expect("Response: ")
    assert not record.exists()
    terminal.sendline(str(holder.decrypt(terminal.before.replace("\r\n", "\n"))).strip())
    assert finish(terminal) == 0
    assert "Tested: a challenge was made and answered." in terminal.before
    assert record.exists()
    both = trex(*enroll, "--key", str(handed_in), "--prove", "--no-proof")
    assert both.returncode == 2


@pytest.mark.parametrize("user", ["bob", "carol"])
def test_a_key_that_another_run_has_enrolled_meanwhile_stays(
    bob: Account, carol: Account, handed_in: Path, central: list[str], log_in: Callable[..., Asked],
    user: str,
) -> None:  # fmt: skip
    enroll = [
        "enroll",
        "--central",
        *options_of(central),
        "--key",
        str(handed_in),
        "--yes",
        "--user",
    ]
    terminal = on_terminal(*enroll, "bob", "--prove")
    terminal.expect("Response: ")
    assert trex(*enroll, user).returncode == 0
    for _ in range(3):
        terminal.sendline("ABCDEFGHIJ")
    assert finish(terminal) == 1
    assert log_in(user, arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_a_key_file_that_another_program_s_record_names_meanwhile_stays(
    bob: Account, handed_in: Path, central: list[str], log_in: Callable[..., Asked]
) -> None:
    record, path = (sandbox.PLACE / "central" / name for name in ("users/bob", "keys/bob.pgp"))
    enroll = ["enroll", "--central", *options_of(central), "--user", "bob", "--key", str(handed_in)]
    terminal = on_terminal(*enroll, "--key-file", str(path))
    terminal.expect("right fingerprint")
    record.write_text(f"{path} trust nosign\n")
    terminal.sendline("y")
    assert finish(terminal) == 1
    assert "another program has changed it" in terminal.before
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_a_key_that_nobody_has_proved_goes_again(
    bob: Account, handed_in: Path, central: list[str]
) -> None:
    enroll = ["enroll", "--central", *options_of(central), "--user", "bob", "--key", str(handed_in)]
    terminal = on_terminal(*enroll, "--prove", "--yes")
    for _ in range(3):
        terminal.expect("Response: ")
        terminal.sendline("ABCDEFGHIJ")
    assert finish(terminal) == 1
    done = trex(*enroll[:-4], "--user", "bob", "--from-keyring")
    assert "the keyring holds no key" in done.stderr


def test_without_a_terminal_a_question_is_an_error(bob: Account, key_file: Path) -> None:
    done = trex("enroll", "--key", "key.asc", account=bob)
    assert done.returncode == 1
    assert "trex: hint: --yes" in done.stderr
    assert not bob.record.exists()
