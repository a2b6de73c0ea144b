"""A record for two people: written, explained, changed and revoked; one is never left to answer alone."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import finish, on_terminal, options_of, record_of, trex
from tests.support.operations import blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

CENTRAL = sandbox.PLACE / "central"
RECORD = CENTRAL / "users/bob"
BLOCK = re.compile(r"-----BEGIN PGP MESSAGE-----.*?-----END PGP MESSAGE-----", re.DOTALL)


def line() -> str:
    return RECORD.read_text().splitlines()[-1]


@pytest.fixture
def enroll(bob: Account, central: list[str]) -> list[str]:
    return ["enroll", "--central", *options_of(central), "--user", "bob", "--yes"]


@pytest.fixture
def two(enroll: list[str], holder: Holder, keys: Keys) -> list[str]:
    """Enrol bob's account for two people in one step; return their keys."""
    one, other = keys["cv25519"], keys["cv25519-second"]
    done = trex(*enroll, "--two-people", "--key", "-", "--fingerprint", one, "--fingerprint", other,
                stdin=b"".join(holder._run("--armor", "--export", key) for key in (one, other)))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Not proved: a challenge was made, and nobody has answered it." in done.stderr
    return [one, other]


def test_two_keys_in_one_file_or_one_after_the_other(
    two: list[str],
    enroll: list[str],
    holder: Holder,
    central: list[str],
    keys: Keys,
    service: Callable[..., str],
) -> None:
    assert line() == f"2of:{two[0]},{two[1]} trust nosign"
    RECORD.unlink()
    assert trex(*enroll, "--key", "-", stdin=holder.public(two[0])).returncode == 0
    more = trex(*enroll, "--two-people", "--add", "--key", "-", stdin=holder.public(two[1]))
    assert more.returncode == 0, more.stderr
    assert line() == f"2of:{two[0]},{two[1]} trust nosign"
    third = holder.public(keys["nistp256"])
    assert trex(*enroll, "--add", "--key", "-", stdin=third).returncode == 0
    assert line() == f"2of:{two[0]},{two[1]},{keys['nistp256']} trust nosign"
    shown = trex("show", "--central", *options_of(central), "--user", "bob")
    assert "Takes two people: any two of these keys, each with a message of" in shown.stdout
    listed = trex("list", "--service", service(*central)).stdout
    assert re.search(r"^bob +ok .* 2 of 3 keys$", listed, re.MULTILINE), listed


def test_two_people_are_enrolled_as_the_page_says(
    bob: Account, central: list[str], holder: Holder, keys: Keys, tmp_path: Path
) -> None:
    """In one step and in two: but for root's account, which is bob's here, and the questions."""
    people = {"alice": keys["cv25519"], "bob": keys["cv25519-second"]}
    for name, key in people.items():
        (tmp_path / f"{name}-login.asc").write_bytes(holder.public(key))
    for block in blocks_of("Set it up", "docs/two-people.md"):
        typed = block.replace("--user root", "--user bob")
        for name, key in people.items():
            typed = typed.replace(name.upper(), key)
        for words in map(shlex.split, typed.splitlines()):
            if words[0] == "cat":
                subprocess.run(["sh", "-c", shlex.join(words).replace("'>'", ">")], check=True,
                               timeout=60, cwd=tmp_path)  # fmt: skip
                continue
            assert words[:4] == ["sudo", "trex", "enroll", "--central"]
            assert words[-3:-1] == ["-", "<"]
            done = trex("enroll", "--central", *options_of(central), *words[4:-2], "--yes",
                        stdin=(tmp_path / words[-1]).read_bytes())  # fmt: skip
            assert done.returncode == 0, done.stderr
        assert line() == f"2of:{people['alice']},{people['bob']} trust nosign"
        RECORD.unlink()


def test_no_change_leaves_one_person_to_answer_unless_it_says_so(
    two: list[str], enroll: list[str], holder: Holder, keys: Keys
) -> None:
    """A new key, a key brought again, another field, and a record that is wrong."""
    before = RECORD.read_text()
    other = holder.public(keys["nistp256"])
    refused = trex(*enroll, "--key", "-", stdin=other)
    assert refused.returncode == 1
    assert "two people answer with two keys, and this leaves 1" in refused.stderr
    assert trex(*enroll, "--page", "webQrAuthTls").returncode == 1
    assert trex(*enroll, "--key", "-", stdin=holder.public(two[0])).returncode == 0
    assert trex(*enroll, "--unusable", "leave-out").returncode == 0
    assert line() == f"2of:{two[0]},{two[1]} trust nosign"
    RECORD.write_text(before.replace(f",{two[1]}", ""))
    assert trex(*enroll, "--key", "-", stdin=other).returncode == 1
    RECORD.write_text(before)
    assert trex(*enroll, "--one-person", "--key", "-", stdin=other).returncode == 0
    assert line() == f"{keys['nistp256']} trust nosign"


@pytest.mark.parametrize("leaves_out", [False, True])
def test_a_key_of_two_that_is_revoked_lets_nobody_in_and_says_so(
    two: list[str], enroll: list[str], central: list[str], ask: Callable[..., Asked],
    *, leaves_out: bool,
) -> None:  # fmt: skip
    if leaves_out:
        assert trex(*enroll, "--unusable", "leave-out").returncode == 0
    revoke = ["revoke", "--central", *options_of(central), "--user", "bob", "--yes"]
    done = trex(*revoke, two[0])
    assert done.returncode == 0, done.stderr
    assert f"{RECORD} stays, and refuses every login: the key {two[0]}" in done.stdout
    assert "--two-people --fingerprint FPR --fingerprint FPR --key - < FILE" in done.stdout
    assert line() == f"2of:{two[0]},{two[1]} trust nosign"
    assert ask("bob", arguments=tuple(central)).verdict == "PAM_AUTHINFO_UNAVAIL"
    shown = trex("show", "--central", *options_of(central), "--user", "bob")
    assert "this record refuses every login" in shown.stderr


def test_of_three_keys_the_other_two_still_log_in_together(
    two: list[str], enroll: list[str], holder: Holder, keys: Keys, central: list[str]
) -> None:
    third = holder.public(keys["nistp256"])
    assert trex(*enroll, "--add", "--key", "-", stdin=third).returncode == 0
    done = trex("revoke", "--central", *options_of(central), "--user", "bob", "--yes", two[0])
    assert line() == f"2of:{two[1]},{keys['nistp256']} trust nosign"
    lines = done.stdout.splitlines()
    first = lines.index("  two of these keys together:")
    assert lines[first + 1 : first + 4 : 2] == [f"    {two[1]}", f"    {keys['nistp256']}"]


def test_both_prove_it_at_once_where_that_is_asked_for(
    two: list[str], enroll: list[str], holder: Holder
) -> None:
    terminal = on_terminal(*enroll, "--prove", "--unusable", "leave-out")
    terminal.expect("Both responses: ")
    texts = [str(holder.decrypt(block)).strip() for block in BLOCK.findall(terminal.before)]
    terminal.sendline(" ".join(texts))
    terminal.expect("Tested: a challenge was made and answered.")
    assert finish(terminal) == 0
    assert "leave-out-unusable" in RECORD.read_text()


def test_a_key_over_a_pipe_makes_no_record_of_one_person(
    bob: Account, holder: Holder, keys: Keys
) -> None:
    """What trex copy-id and trex renew have the server do."""
    bob.import_keys(holder.public(keys["cv25519"], keys["nistp256"]))
    bob.write(f"2of:{keys['cv25519']},{keys['nistp256']} trust nosign\n")
    armored = holder._run("--armor", "--export", keys["cv25519"])
    done = trex("enroll", "--piped", account=bob, stdin=armored)
    assert done.returncode == 1
    assert "asks for two people, and over a pipe one can answer" in done.stderr
    assert record_of(bob) == f"2of:{keys['cv25519']},{keys['nistp256']} trust nosign"


def test_who_hands_in_a_key_for_two_is_told_what_the_administrator_types(
    bob: Account, holder: Holder, keys: Keys
) -> None:
    key = bob.write(holder.public(keys["cv25519"]), "key.pgp")
    done = trex("enroll", "--central", "--add", "--two-people", "--key", str(key), account=bob)
    assert done.stdout.startswith("sudo trex enroll --central --add --two-people --user bob --key")


def test_doctor_makes_both_messages_and_says_what_refuses_the_login(
    two: list[str], central: list[str], service: Callable[..., str]
) -> None:
    name = service(*central)
    sound = trex("doctor", "--user", "bob", "--service", name)
    assert "error: bob" not in sound.stdout, sound.stdout
    RECORD.write_text(RECORD.read_text().replace(two[1], "cv25519@example.org"))
    done = trex("doctor", "--user", "bob", "--service", name)
    assert "expected keys of two people" in done.stdout, done.stdout
    assert "--two-people --fingerprint FPR1 --fingerprint FPR2 --yes --key - < FILE" in done.stdout
    assert Path(RECORD).exists()


@pytest.mark.parametrize("is_central", [False, True], ids=["in the home", "central"])
def test_what_one_person_makes_for_an_account_of_two_is_said_to_open_it_to_one(
    bob: Account, central: list[str], is_central: bool
) -> None:
    record = "2of:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB trust nosign\n"
    usual = Path("/etc/trex/users/bob")
    if is_central:
        assert "run_as=_trex" in central
        usual.parent.mkdir(parents=True)
        usual.write_text(record)
    else:
        bob.write(record)
    try:
        for make, what in (
            ("recovery make", "a recovery code"),
            ("totp enroll", "a code from a phone"),
        ):
            done = trex(*make.split(), "--user", "bob")
            assert done.returncode == 0, done.stderr
            warning = f"the record of bob takes two people. One of them gets in alone where a service takes {what}"
            assert warning in done.stderr
    finally:
        if is_central:
            shutil.rmtree(usual.parent.parent)
