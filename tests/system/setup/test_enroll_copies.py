"""`trex enroll` and keys that carry a copy of another person's: central mode shares one keyring."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import options_of, trex
from tests.support.graft import AUTHENTICATE, ENCRYPT, carrying
from tests.support.keys import Holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys


@pytest.fixture(scope="module")
def mallory(place: Path) -> Iterator[Holder]:
    holder = Holder(place / "mallory-enrols")
    yield holder
    holder.close()


@pytest.fixture(scope="module")
def hers(mallory: Holder) -> str:
    return mallory.make("carol@example.org")


@pytest.fixture
def enroll(central: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Enrol a user in central mode: `enroll("bob", key)`."""

    def run(user: str, key: bytes, *options: str) -> subprocess.CompletedProcess[str]:
        return trex("enroll", "--central", *options_of(central), "--user", user, "--key", "-",
                    "--yes", *options, stdin=key)  # fmt: skip

    return run


def keyring(*command: str) -> str:
    home = sandbox.PLACE / "central/gnupg"
    return subprocess.run(
        ["setpriv", "--reuid=_trex", "--regid=_trex", "--clear-groups", "gpg", "--homedir", home,
         "--no-autostart", "--batch", *command],
        capture_output=True, check=True, text=True, env={"PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip


def test_a_copy_of_somebody_s_key_is_left_out_loudly(
    bob: Account, carol: Account, holder: Holder, keys: Keys, mallory: Holder, hers: str,
    enroll: Callable[..., subprocess.CompletedProcess[str]], central: list[str],
    ask: Callable[..., Asked], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    honest = holder.public(keys["cv25519"])
    assert enroll("bob", honest).returncode == 0
    done = enroll("carol", carrying(mallory, hers, honest, AUTHENTICATE))
    assert done.returncode == 0, done.stderr
    assert (
        f"warning: LEFT OUT of {hers}: {keys['cv25519']}, which is another person's key"
        in done.stderr
    )
    assert keyring("--with-colons", "--list-keys").count(keys["cv25519"]) == 1
    hers_answers = ("--answer-with", mallory.command())
    assert ask("carol", *hers_answers, arguments=tuple(central)).verdict == "PAM_SUCCESS"
    assert ask("bob", *hers_answers, arguments=tuple(central)).verdict == "PAM_AUTH_ERR"
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_a_copy_of_a_subkey_is_refused_and_both_keys_are_named(
    bob: Account, carol: Account, holder: Holder, keys: Keys, mallory: Holder, hers: str,
    enroll: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    honest = holder.public(keys["cv25519"])
    assert enroll("bob", honest).returncode == 0
    before = keyring("--with-colons", "--list-keys")
    done = enroll("carol", carrying(mallory, hers, honest, ENCRYPT))
    assert done.returncode == 1
    assert re.search(f"the key {keys['cv25519']} in .* carries [0-9A-F]+ of {hers}", done.stderr)
    assert keyring("--with-colons", "--list-keys") == before
    assert not (sandbox.PLACE / "central/users/carol").exists()


def test_a_copy_that_was_there_first_is_named_and_the_printed_command_takes_it_out(
    bob: Account, carol: Account, holder: Holder, keys: Keys, mallory: Holder, hers: str,
    enroll: Callable[..., subprocess.CompletedProcess[str]], central: list[str],
    log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    honest = holder.public(keys["cv25519"])
    assert enroll("carol", carrying(mallory, hers, honest, AUTHENTICATE)).returncode == 0
    done = enroll("bob", honest)
    assert done.returncode == 1
    assert f"the key {hers} in " in done.stderr
    command = re.search(r"gpg --homedir (\S+) (--delete-keys [0-9A-F]{40}),", done.stderr)
    assert command, done.stderr
    keyring("--yes", *command[2].split())
    assert enroll("bob", honest).returncode == 0
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_a_key_file_for_each_user(
    bob: Account, carol: Account, holder: Holder, keys: Keys, mallory: Holder, hers: str,
    enroll: Callable[..., subprocess.CompletedProcess[str]], central: list[str],
    ask: Callable[..., Asked], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    """Two files of root's for each user, without other keys and without a keyring."""
    files = sandbox.PLACE / "central/keys"
    option = ("--key-file", f"{files}/%u.pgp")
    honest = holder.public(keys["cv25519"])
    for user, key in (("carol", carrying(mallory, hers, honest, AUTHENTICATE)), ("bob", honest)):
        done = enroll(user, key, *option)
        assert done.returncode == 0, done.stderr
    assert (
        (sandbox.PLACE / "central/users/bob")
        .read_text()
        .endswith(f"{files}/bob.pgp trust nosign\n")
    )
    status = (files / "bob.pgp").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o644)
    assert {path.name for path in files.iterdir()} == {"bob.pgp", "carol.pgp"}
    assert not list((sandbox.PLACE / "central/gnupg").iterdir())
    arguments = tuple(central)
    assert log_in("bob", arguments=arguments).verdict == "PAM_SUCCESS"
    assert (
        ask("bob", "--answer-with", mallory.command(), arguments=arguments).verdict
        == "PAM_AUTH_ERR"
    )
    assert (
        ask("carol", "--answer-with", mallory.command(), arguments=arguments).verdict
        == "PAM_SUCCESS"
    )
    shown = trex("show", "--central", *options_of(central), "--user", "bob")
    assert shown.returncode == 0, shown.stderr
    assert f"{keys['cv25519']}, without an end" in shown.stdout


def test_a_new_key_takes_the_place_of_the_old_one_only_when_it_works(
    bob: Account, holder: Holder, keys: Keys, central: list[str],
    enroll: Callable[..., subprocess.CompletedProcess[str]], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    files = sandbox.PLACE / "central/keys"
    option = ("--key-file", f"{files}/%u.pgp")
    assert enroll("bob", holder.public(keys["cv25519"]), *option).returncode == 0
    before = (files / "bob.pgp").read_bytes()
    for arguments in (("--notrust",), ("--sign-as", keys["cv25519"])):
        assert enroll("bob", holder.public(keys["rsa2048"]), *option, *arguments).returncode == 1
        assert (files / "bob.pgp").read_bytes() == before
        assert {path.name for path in files.iterdir()} <= {"bob.pgp", "bob.pgp~"}
    assert enroll("bob", holder.public(keys["rsa2048"]), *option).returncode == 0
    assert (files / "bob.pgp").read_bytes() != before
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


@pytest.mark.parametrize("path", ["keys/%u.pgp", "/etc/a key/%u.pgp", "/etc/a,b/%u.pgp"])
def test_a_path_that_no_record_can_name(
    bob: Account, holder: Holder, keys: Keys, path: str,
    enroll: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    done = enroll("bob", holder.public(keys["cv25519"]), "--key-file", path)
    assert done.returncode == 1
    assert "expected an absolute path without spaces and commas" in done.stderr


def test_root_writes_no_key_and_no_record_where_a_user_decides(
    bob: Account, holder: Holder, keys: Keys, place: Path,
    enroll: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    """A user's link could put them anywhere, with a key's user id as shell text."""
    precious = place / "precious.d"
    precious.mkdir()
    os.symlink(precious, bob.home / "link")
    os.lchown(bob.home / "link", bob.uid, bob.uid)
    honest = holder.public(keys["cv25519"])
    for options in (
        ("--key-file", f"{bob.home}/link/%u.sh"),
        ("--key-file", f"{bob.home}/new/%u.sh"),
        ("--auth-file", f"{bob.home}/link/%u.rec"),
    ):
        done = enroll("bob", honest, *options)
        assert done.returncode == 1
        assert "root writes only where no user can change the path" in done.stderr
        assert "a directory of root's" in done.stderr
    assert list(precious.iterdir()) == []
    assert not (bob.home / "new").exists()
    assert not (sandbox.PLACE / "central/users/bob").exists()
    for command in ("remove", "show"):
        done = trex(command, "--central", "--auth-file", f"{bob.home}/link/%u.rec", "--user", "bob",
                    *(["--yes"] if command == "remove" else []))  # fmt: skip
        assert done.returncode == 1
    precious.rmdir()


def test_a_file_that_is_no_key_is_left_alone(
    bob: Account, holder: Holder, keys: Keys, central: list[str],
    enroll: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    notes = sandbox.PLACE / "central/notes.txt"
    notes.write_text("precious\n")
    honest = holder.public(keys["cv25519"])
    for path in (notes, sandbox.PLACE / "central/users/bob"):
        done = enroll("bob", honest, "--key-file", str(path))
        assert done.returncode == 1
        assert f"{path}: " in done.stderr
    assert notes.read_text() == "precious\n"
    assert not (sandbox.PLACE / "central/users/bob").exists()


def test_a_record_that_cannot_be_written_leaves_the_key_that_was_there(
    bob: Account, holder: Holder, keys: Keys, central: list[str],
    enroll: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    option = ("--key-file", str(sandbox.PLACE / "central/keys/%u.pgp"))
    users, file = sandbox.PLACE / "central/users", sandbox.PLACE / "central/keys/bob.pgp"
    subprocess.run(["mount", "--bind", "-o", "ro", users, users], check=True)
    try:
        done = enroll("bob", holder.public(keys["cv25519"]), *option)
        assert done.returncode == 1
        assert not file.exists()
    finally:
        subprocess.run(["umount", users], check=True)
    assert enroll("bob", holder.public(keys["cv25519"]), *option).returncode == 0
    before = file.read_bytes()
    subprocess.run(["mount", "--bind", "-o", "ro", users, users], check=True)
    try:
        done = enroll("bob", holder.public(keys["rsa2048"]), *option, "--page", "webQrAuthTls")
        assert done.returncode == 1
        assert file.read_bytes() == before
    finally:
        subprocess.run(["umount", users], check=True)


def test_a_path_that_begins_as_another_one_does(
    bob: Account, holder: Holder, keys: Keys,
    enroll: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    files = sandbox.PLACE / "central/keys"
    assert (
        enroll("bob", holder.public(keys["cv25519"]), "--key-file", f"{files}/a.pgp2").returncode
        == 0
    )
    done = enroll("bob", holder.public(keys["rsa2048"]), "--key-file", f"{files}/a.pgp", "--add")
    assert done.returncode == 0, done.stderr
    record = (sandbox.PLACE / "central/users/bob").read_text()
    assert record.endswith(f"{files}/a.pgp2,{files}/a.pgp trust nosign\n")


def test_a_key_that_is_added_takes_no_file_of_the_record_s_other_key(
    bob: Account, holder: Holder, keys: Keys,
    enroll: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    """Whose key it is would be locked out, and --add keeps the record's keys."""
    path = sandbox.PLACE / "central/keys/bob.pgp"
    option = ("--key-file", str(path))
    assert enroll("bob", holder.public(keys["cv25519"]), *option).returncode == 0
    before, record = path.read_bytes(), (sandbox.PLACE / "central/users/bob").read_bytes()
    done = enroll("bob", holder.public(keys["nistp256"]), *option, "--add")
    assert done.returncode == 1, done.stderr
    assert "with another key in it, and --add keeps that" in done.stderr
    assert (path.read_bytes(), (sandbox.PLACE / "central/users/bob").read_bytes()) == (
        before, record,
    )  # fmt: skip
    assert enroll("bob", holder.public(keys["cv25519"]), *option, "--add").returncode == 0
    assert enroll("bob", holder.public(keys["nistp256"]), *option).returncode == 0, "in its place"
