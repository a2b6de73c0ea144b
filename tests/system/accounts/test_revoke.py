"""`trex revoke`: a stolen key logs in no more, and the spare still does. Real gpg, real logins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import finish, on_terminal, options_of, record_of, trex
from tests.support.graft import carrying
from tests.support.owner import Owner, enrolled
from trex.openpgp.keyblock import packets

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

IN, REFUSED = "PAM_SUCCESS", "PAM_AUTHINFO_UNAVAIL"
FORMS: dict[str, Callable[[Owner], bytes]] = {
    "gpg's certificate": Owner.certificate,
    "a binary certificate": Owner.binary,
    "the revoked key": Owner.revoked,
}


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize("form", FORMS)
def test_a_revoked_key_logs_in_no_more_and_the_spare_does(
    robbed: Account, owner: Owner, answer: Callable[..., str], log: Log, form: str
) -> None:
    assert answer() == IN
    robbed.write(FORMS[form](owner), "file")
    done = trex("revoke", "file", "--yes", account=robbed)
    assert done.returncode == 0, done.stderr
    assert f"Revoked: {owner.stolen} (Alice <stolen@example.org>)" in done.stdout
    assert f"  {owner.spare}\n    Alice, spare <spare@example.org>, without an end\n" in done.stdout
    assert record_of(robbed) == f"{owner.spare} trust nosign"
    assert robbed.record.read_text().startswith("# mine\n")
    log.clear()
    assert answer() == IN
    assert f"keys={owner.spare} " in log.verdict()
    robbed.write(f"{owner.stolen} trust nosign\n")
    log.clear()
    assert answer() == REFUSED
    assert f"the key {owner.stolen} was revoked" in log.verdict()


def test_a_second_run_says_that_it_was_revoked_and_changes_nothing(
    robbed: Account, owner: Owner
) -> None:
    robbed.write(f"{owner.stolen} trust nosign\n")
    for said in ("Revoked", "Was revoked already"):
        done = trex("revoke", "--user", "alice", "-", "--yes", stdin=owner.certificate())
        assert done.returncode == 0, done.stderr
        assert f"{said}: {owner.stolen}" in done.stdout
    assert record_of(robbed) == f"{owner.stolen} trust nosign"


@pytest.mark.parametrize("named", ["by its fingerprint", "by its address", "by its subkey"])
def test_the_only_key_of_a_record_leaves_it_there_and_it_refuses(
    robbed: Account, owner: Owner, answer: Callable[..., str], named: str
) -> None:
    """Also with nullok: a record that refuses is no missing one."""
    name = {"by its fingerprint": owner.stolen, "by its address": "stolen@example.org",
            "by its subkey": f"{owner.subkey()}!"}[named]  # fmt: skip
    robbed.write(f"{name} trust nosign\n")
    assert answer() == IN
    done = trex("revoke", "--user", "alice", "--yes", "-", stdin=owner.certificate())
    assert done.returncode == 0, done.stderr
    assert "/home/alice/.auth_gpg stays, and refuses every login: the key" in done.stdout
    assert "With another key: trex enroll --user alice --key - < FILE" in done.stdout
    assert record_of(robbed) == f"{name} trust nosign"
    assert answer("nullok") == REFUSED


def test_a_subkey_alone_is_revoked_where_the_record_names_it(
    robbed: Account, owner: Owner, answer: Callable[..., str]
) -> None:
    robbed.write(f"{owner.subkey()}!,{owner.spare} trust nosign\n")
    owner.edit("key 1", "revkey", "y", "0", "", "y")
    done = trex("revoke", "--user", "alice", "--yes", "-", stdin=owner.public(owner.stolen))
    assert done.returncode == 0, done.stderr
    assert (
        f"Revoked: {owner.stolen} (Alice <stolen@example.org>), its subkey {owner.subkey()}!"
        in (done.stdout)
    )
    assert record_of(robbed) == f"{owner.spare} trust nosign"
    assert answer() == IN
    robbed.write(f"{owner.stolen} trust nosign\n")
    assert answer() == REFUSED


def test_nothing_of_the_file_is_taken_but_what_revokes(robbed: Account, owner: Owner) -> None:
    """A file for `trex revoke` adds no key, no subkey and no later end."""
    owner._run("--quick-add-key", owner.stolen, "cv25519", "encr", "never")
    added = owner.subkey()
    done = trex("revoke", "--user", "alice", "--yes", "-", stdin=owner.revoked() + owner.public())
    assert done.returncode == 0, done.stderr
    listed = robbed.run("gpg", "--batch", "--with-colons", "--list-keys").decode()
    assert owner.stolen in listed
    assert added not in listed
    assert any(line.startswith("pub:r:") for line in listed.splitlines())


@pytest.mark.parametrize(
    "kind", ["another's", "secret", "a plain key", "text", "nothing", "forged"]
)
def test_what_revokes_none_of_the_record_s_keys_changes_nothing(
    robbed: Account, owner: Owner, answer: Callable[..., str], kind: str
) -> None:
    content, said = {
        "another's": (owner.certificate(owner.spare), "it revokes none of the keys that "),
        "secret": (owner.secret(owner.stolen), "found a secret key"),
        "a plain key": (owner.public(owner.stolen), "expected a revocation, found none in it"),
        "text": (b"hello\n", "expected a revocation, found none in it"),
        "nothing": (b"", "expected a revocation, found nothing"),
        "forged": (forged(owner), "it revokes none of the keys that "),
    }[kind]
    robbed.write(f"{owner.stolen} trust nosign\n")
    before = robbed.record.stat().st_ino, (robbed.gnupg / "pubring.kbx").read_bytes()
    done = trex("revoke", "--user", "alice", "--yes", "-", stdin=content)
    assert done.returncode == 1
    assert said in done.stderr
    assert "trex: hint: " in done.stderr
    assert (robbed.record.stat().st_ino, (robbed.gnupg / "pubring.kbx").read_bytes()) == before
    assert answer() == IN


def forged(owner: Owner) -> bytes:
    """Return the certificate with a byte of its signature changed."""
    content = bytearray(owner.binary())
    content[-1] ^= 1
    return bytes(content)


def test_the_question_comes_first_and_a_no_changes_nothing(
    robbed: Account, owner: Owner, answer: Callable[..., str]
) -> None:
    robbed.write(owner.certificate(), "alice.rev")
    for word, status in (("n", 130), ("y", 0)):
        terminal = on_terminal("revoke", "alice.rev", account=robbed)
        terminal.expect_exact("Revoke it? A revocation cannot be taken back. [y/N] ")
        assert (
            f"For alice: {owner.stolen}\r\n    Alice <stolen@example.org>, without an end"
            in str(terminal.before)
        )
        assert record_of(robbed) == f"{owner.stolen},{owner.spare} trust nosign"
        terminal.sendline(word)
        assert finish(terminal) == status
    assert record_of(robbed) == f"{owner.spare} trust nosign"
    assert answer() == IN


@pytest.mark.parametrize("what", ["a revocation", "a fingerprint"])
def test_a_copy_of_the_key_in_another_key_is_named_and_never_removed_in_its_place(
    robbed: Account, owner: Owner, holder: Holder, keys: Keys, answer: Callable[..., str], what: str
) -> None:
    """Whoever puts alice's key into their own makes gpg find theirs: no silence, and no wrong key."""
    robbed.import_keys(carrying(holder, keys["cv25519"], owner.public(owner.stolen)))
    arguments = [
        "revoke",
        "--user",
        "alice",
        "--yes",
        "-" if what == "a revocation" else owner.stolen,
    ]
    done = trex(*arguments, stdin=owner.certificate())
    assert done.returncode == 0, done.stderr
    assert f"carries a copy of {owner.stolen}" in done.stderr
    assert f"Taken out: {owner.stolen}" in done.stdout
    assert record_of(robbed) == f"{owner.spare} trust nosign"
    robbed.write(f"{owner.stolen} trust nosign\n")
    done = trex(*arguments, stdin=owner.certificate())
    assert done.returncode == 1
    only = "It is the only key of /home/alice/.auth_gpg, and still logs in"
    assert (only in done.stderr) == (what == "a fingerprint")
    told = re.search(r"trex: hint: as alice: (gpg .*?); then trex revoke again", done.stderr)
    assert told, done.stderr
    assert answer() == IN
    listed = robbed.run("gpg", "--batch", "--with-colons", "--list-keys").decode()
    assert keys["cv25519"] in listed, "what belongs to somebody else is still there"
    robbed.run(*told[1].replace("gpg ", "gpg --batch --yes ").split())
    robbed.run("gpgconf", "--kill", "all")
    done = trex(*arguments, stdin=owner.certificate())
    assert done.returncode == 0, done.stderr
    assert answer() == REFUSED


# ------------------------------------------------------------------ central mode, and key files


@pytest.mark.usefixtures("door")
def test_in_central_mode_root_revokes_in_the_keyring_of_all(
    robbed: Account, owner: Owner, central: list[str], answer: Callable[..., str], bob: Account
) -> None:
    users = enrolled(central, owner, "alice", f"{owner.stolen},{owner.spare} trust nosign\n")
    enrolled(central, owner, "bob", f"{owner.stolen} trust nosign\n")
    assert answer(*central) == IN
    command = ["revoke", *options_of(central), "--user", "alice", "--yes", "-"]
    done = trex(*command, stdin=owner.certificate())
    assert done.returncode == 0, done.stderr
    assert (users / "alice").read_text() == f"{owner.spare} trust nosign\n"
    assert (users / "alice").stat().st_mode & 0o777 == 0o640
    assert answer(*central) == IN
    assert answer(*central, user="bob") == REFUSED
    assert "bob has the same key in a record: trex revoke --central --auth-file" in done.stdout


@pytest.mark.parametrize("how", ["a revocation", "a fingerprint"])
def test_a_key_in_a_file_of_its_own(
    robbed: Account, owner: Owner, central: list[str], answer: Callable[..., str], how: str
) -> None:
    users = Path(central[0].removeprefix("auth_file=")).parent
    file = users / "alice.pgp"
    file.write_bytes(owner.public(owner.stolen))
    (users / "alice").write_text(f"{file} trust nosign\n")
    assert answer(*central) == IN
    what, stdin = ("-", owner.certificate()) if how == "a revocation" else (owner.stolen, b"")
    command = ["revoke", *options_of(central), "--user", "alice", "--yes", what]
    done = trex(*command, stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert f"{users}/alice stays, and refuses every login: the key {file}" in done.stdout
    assert (users / "alice").read_text() == f"{file} trust nosign\n"
    assert file.exists() == (how == "a revocation")
    assert (users / "alice.pgp~").read_bytes() == owner.public(owner.stolen)
    assert answer(*central, "nullok") == REFUSED


# ------------------------------------------------------------------ without a revocation


@pytest.mark.parametrize("only", [False, True])
def test_a_fingerprint_is_taken_out_of_record_and_keyring(
    robbed: Account, owner: Owner, answer: Callable[..., str], log: Log, *, only: bool
) -> None:
    if only:
        robbed.write(f"{owner.stolen} trust nosign\n")
    spaced = " ".join(owner.stolen[n : n + 4] for n in range(0, 40, 4)).lower()
    done = trex("revoke", "--user", "alice", spaced, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Taken out: {owner.stolen} (Alice <stolen@example.org>)" in done.stdout
    listed = robbed.run("gpg", "--batch", "--with-colons", "--list-keys").decode()
    assert owner.stolen not in listed
    assert owner.spare in listed
    log.clear()
    assert answer() == (REFUSED if only else IN)
    if only:
        assert f"the key {owner.stolen} is not in the keyring" in log.verdict()
        assert "stays, and refuses every login" in done.stdout
    else:
        assert record_of(robbed) == f"{owner.spare} trust nosign"


def test_a_fingerprint_that_another_record_needs_stays_in_a_keyring_that_is_shared(
    robbed: Account, owner: Owner, central: list[str], answer: Callable[..., str], bob: Account
) -> None:
    users = enrolled(central, owner, "alice", f"{owner.stolen},{owner.spare} trust nosign\n")
    enrolled(central, owner, "bob", f"{owner.subkey()}! trust nosign\n")
    command = ["revoke", *options_of(central), "--user", "alice", "--yes", owner.stolen]
    done = trex(*command)
    assert done.returncode == 0, done.stderr
    assert (
        f"trex: warning: {central[1].removeprefix('gnupg_home=')} keeps {owner.stolen} for bob"
        in (done.stderr)
    )
    assert (users / "alice").read_text() == f"{owner.spare} trust nosign\n"
    assert answer(*central, user="bob") == IN
    (users / "alice").write_text(f"{owner.stolen} trust nosign\n")
    done = trex(*command)
    assert done.returncode == 1
    assert f"It is the only key of {users}/alice, and still logs in" in done.stderr


def test_a_secret_key_beside_it_is_not_deleted_and_the_only_key_is_said_to_stay(
    robbed: Account, owner: Owner, answer: Callable[..., str]
) -> None:
    robbed.import_keys(owner.secret(owner.stolen))
    robbed.write(f"{owner.stolen} trust nosign\n")
    done = trex("revoke", "--user", "alice", owner.stolen, "--yes")
    assert done.returncode == 1
    assert "gpg deletes none that has a secret key. It is the only key of" in done.stderr
    assert answer() == IN


def test_a_key_that_the_record_does_not_name(robbed: Account, owner: Owner, keys: Keys) -> None:
    done = trex("revoke", "--user", "alice", keys["cv25519"], "--yes")
    assert done.returncode == 1
    assert f"names no key {keys['cv25519']}" in done.stderr
    assert f"trex: hint: it names {owner.stolen}, {owner.spare}" in done.stderr


def test_without_a_record_and_without_arguments(bob: Account, owner: Owner) -> None:
    done = trex("revoke", "--user", "bob", owner.stolen, "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/home/bob/.auth_gpg: no record, so no key logs in by it" in done.stderr
    assert trex("revoke", "--user", "bob").returncode == 2


def test_a_certificate_has_one_packet(owner: Owner) -> None:
    """What the tests take for a certificate is one."""
    assert [tag for tag, _, _ in packets(owner.binary())] == [2]
