"""`trex remove` in central mode: accounts that are gone, and keys that nobody else needs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import finish, on_terminal, options_of, trex
from tests.support.examination import examine, write_service, write_ssh_key
from tests.support.graft import carrying

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

USERS = sandbox.PLACE / "central/users"


@pytest.fixture
def enrol(central: list[str], holder: Holder) -> Callable[..., None]:
    """Enrol a user with a key, in the keyring of central mode or in a file."""

    def write(user: str, key: str, *options: str) -> None:
        done = trex("enroll", "--central", *options_of(central), "--user", user, "--key", "-",
                    "--yes", *options, stdin=holder.public(key))  # fmt: skip
        assert done.returncode == 0, done.stderr

    return write


@pytest.fixture
def remove(central: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(user: str, *options: str) -> subprocess.CompletedProcess[str]:
        return trex("remove", "--central", *options_of(central), "--user", user, "--yes", *options)

    return run


def ring() -> str:
    """Return the listing of central mode's keyring."""
    return subprocess.run(
        ["setpriv", "--reuid=_trex", "--regid=_trex", "--clear-groups", "gpg", "--homedir",
         sandbox.PLACE / "central/gnupg", "--batch", "--no-autostart", "--with-colons", "--list-keys"],
        capture_output=True, check=True, text=True, env={"PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip


def test_the_record_of_an_account_that_is_gone(
    bob: Account, enrol: Callable[..., None], keys: Keys, central: list[str],
    remove: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    enrol("bob", keys["cv25519"])
    bob.leave()
    try:
        shown = trex("show", "--central", *options_of(central), "--user", "bob")
        assert shown.returncode == 1
        assert f"Made for: the account with uid {bob.uid}" in shown.stdout
        assert "there is no account bob, only this record" in shown.stderr
        terminal = on_terminal("remove", "--central", *options_of(central), "--user", "bob")
        terminal.expect("There is no account bob: only its record is left")
        terminal.expect("cannot log in")
        terminal.sendline("yes")
        assert finish(terminal) == 0
        assert sorted(path.name for path in USERS.iterdir()) == ["bob~"]
        assert keys["cv25519"] in ring(), "nobody has asked for its removal"
        assert "no record, and no account bob, nothing to remove" in remove("bob").stderr
        for name in ("bob~", "../users/bob", ".bob", "carol/x", ""):
            assert remove(name).returncode, name
        assert trex("remove", "--user", "bob", "--yes").returncode == 1, "a home is gone, too"
    finally:
        bob.give_name_to(bob.uid)


def test_keys_go_with_it_unless_somebody_else_needs_them(
    bob: Account, carol: Account, enrol: Callable[..., None], keys: Keys, holder: Holder,
    remove: Callable[..., subprocess.CompletedProcess[str]], central: list[str],
    log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    alone, shared, by_address = keys["cv25519"], keys["nistp256"], keys["rsa2048"]
    enrol("carol", by_address)
    enrol("carol", shared)
    record = USERS / "carol"
    record.write_text(record.read_text().replace(shared, f"{shared},rsa2048@example.org"))
    for key in (alone, shared, by_address):
        enrol("bob", key, "--add")
    done = remove("bob", "--with-keys")
    assert done.returncode == 0, done.stderr
    assert f"Also goes: the key {alone} in {sandbox.PLACE}/central/gnupg" in done.stderr
    for kept in (shared, by_address):
        assert f"Kept: the key {kept}, which the record of carol names" in done.stderr
    listed = ring()
    assert alone not in listed
    assert shared in listed
    assert by_address in listed
    assert not (USERS / "bob").exists()
    assert log_in("carol", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_nothing_goes_while_another_record_cannot_be_read(
    bob: Account, carol: Account, enrol: Callable[..., None], keys: Keys,
    remove: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    file = sandbox.PLACE / "central/keys/bob.pgp"
    enrol("bob", keys["rsa2048"], "--key-file", str(file))
    record = USERS / "bob"
    enrol("bob", keys["cv25519"])
    record.write_text(record.read_text().replace(keys["cv25519"], f"{keys['cv25519']},{file}"))
    enrol("carol", keys["nistp256"])
    (USERS / "carol").write_text("nonsense\n")
    done = remove("bob", "--with-keys")
    assert done.returncode == 0, done.stderr
    for kept in (f"the key {keys['cv25519']}", file):
        assert f"Kept: {kept}, which the record of carol names, or may name" in done.stderr
    assert keys["cv25519"] in ring()
    assert file.exists()


def test_a_key_of_which_another_carries_a_copy_stays(
    bob: Account, enrol: Callable[..., None], keys: Keys, holder: Holder,
    remove: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    """gpg finds either by that fingerprint, and might delete the other one."""
    enrol("bob", keys["nistp256"])
    carrier = carrying(holder, keys["cv25519"], holder.public(keys["nistp256"]))
    subprocess.run(["setpriv", "--reuid=_trex", "--regid=_trex", "--clear-groups", "gpg", "--batch",
                    "--homedir", sandbox.PLACE / "central/gnupg", "--import"],
                   input=carrier, check=True, capture_output=True)  # fmt: skip
    done = remove("bob", "--with-keys")
    assert done.returncode == 0, done.stderr
    said = f"Kept: the key {keys['nistp256']}, a copy of which is in {keys['cv25519']}"
    assert said in done.stderr
    assert f"fpr:::::::::{keys['cv25519']}:" in ring()


def test_key_files(
    bob: Account, carol: Account, enrol: Callable[..., None], keys: Keys,
    remove: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    template = f"{sandbox.PLACE}/central/keys/%u.pgp"
    own, other = (Path(template.replace("%u", name)) for name in ("bob", "carol"))
    enrol("bob", keys["cv25519"], "--key-file", template)
    enrol("carol", keys["nistp256"], "--key-file", template)
    record = USERS / "bob"
    record.write_text(record.read_text().replace(f"{own}", f"{own},{other}"))
    done = remove("bob", "--with-keys")
    assert done.returncode == 0, done.stderr
    assert f"Also goes: {own}\n" in done.stderr
    assert f"Kept: {other}, which the record of carol names" in done.stderr
    assert other.exists()
    assert not own.exists()


def test_a_signing_key_stays(
    bob: Account, enrol: Callable[..., None], keys: Keys, holder: Holder,
    remove: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    """It is the host's own, and its secret part is there alone."""
    enrol("bob", keys["cv25519"])
    record = USERS / "bob"
    record.write_text(record.read_text().replace("nosign", keys["cv25519"]))
    done = remove("bob", "--with-keys")
    assert done.returncode == 0, done.stderr
    assert f"Kept: the key {keys['cv25519']}, which signs challenges" in done.stderr
    assert keys["cv25519"] in ring()


def test_a_keyring_in_a_home_is_its_user_s_own(alice: Account) -> None:
    done = trex("remove", "--user", "alice", "--with-keys", "--yes")
    assert done.returncode == 2
    assert "a keyring in a home is its user's own" in done.stderr
    assert alice.record.exists()


def test_the_doctor_s_command_removes_an_orphan(
    host: Account, bob: Account, enrol: Callable[..., None], keys: Keys, central: list[str]
) -> None:
    write_service(*central)
    write_ssh_key(bob)
    enrol("alice", keys["nistp256"])
    enrol("bob", keys["cv25519"])
    assert examine()["findings"] == []
    bob.leave()
    try:
        [orphan] = examine()["findings"]
        assert (orphan["check"], orphan["severity"]) == ("record-orphan", "warning")
        assert orphan["what"] == f"{USERS}/bob: a record, and there is no account bob"
        done = trex(*orphan["fix"].split()[1:])
        assert done.returncode == 0, done.stderr
        assert examine()["findings"] == []
    finally:
        bob.give_name_to(bob.uid)


def about_records() -> list[dict[str, str]]:
    """Return what the doctor finds besides the SSH key that the account before has left."""
    found: list[dict[str, str]] = examine()["findings"]
    return [finding for finding in found if not finding["check"].startswith("sshd-key")]


def test_the_doctor_s_command_removes_the_record_of_another_account_of_that_name(
    host: Account, bob: Account, enrol: Callable[..., None], keys: Keys, central: list[str]
) -> None:
    write_service(*central)
    enrol("alice", keys["nistp256"])
    enrol("bob", keys["cv25519"])
    bob.give_name_to(bob.uid + 7)
    [finding] = about_records()
    assert (finding["check"], finding["severity"]) == ("record-OtherAccount", "error")
    assert "expected uid=" in finding["what"]
    assert "If this is the same person: trex enroll --central" in finding["why"]
    done = trex(*finding["fix"].split()[1:], "--yes")
    assert done.returncode == 0, done.stderr
    assert about_records() == []


def test_the_doctor_s_command_says_for_whom_a_record_is_from_before_there_were_notes(
    host: Account, enrol: Callable[..., None], keys: Keys, central: list[str]
) -> None:
    write_service(*central)
    enrol("alice", keys["nistp256"])
    record = USERS / "alice"
    bound = record.read_text()
    record.write_text(
        "".join(line for line in bound.splitlines(keepends=True) if "trex:" not in line)
    )
    [note] = examine()["findings"]
    assert (note["check"], note["severity"]) == ("record-unbound", "note")
    done = trex(*note["fix"].split()[1:])
    assert done.returncode == 0, done.stderr
    assert record.read_text() == bound
    assert examine()["findings"] == []


def test_the_key_file_of_a_renamed_account_is_not_written_over(
    bob: Account, carol: Account, central: list[str], enrol: Callable[..., None], keys: Keys,
    holder: Holder, log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    """Whoever gets the name next would get in as the one who had it before."""
    template = f"{sandbox.PLACE}/central/keys/%u.pgp"
    enrol("bob", keys["cv25519"], "--key-file", template)
    (USERS / "bob").rename(USERS / "carol")
    path = Path(template.replace("%u", "bob"))
    before = path.read_bytes()
    record = (USERS / "carol").read_text()
    (USERS / "carol").write_text(record.replace(f"uid={bob.uid}", f"uid={carol.uid}"))
    words = ["enroll", "--central", *options_of(central), "--user", "bob", "--key", "-", "--yes"]
    done = trex(*words, "--key-file", template, stdin=holder.public(keys["nistp256"]))
    assert done.returncode == 1
    assert f"{path}: the record of carol names this file" in done.stderr
    assert path.read_bytes() == before
    assert not (USERS / "bob").exists()
    assert log_in("carol", arguments=tuple(central)).verdict == "PAM_SUCCESS"
    enrol("bob", keys["nistp256"], "--key-file", template.replace("%u", "%u-2"))
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"
