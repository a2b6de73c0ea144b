"""`trex renew`: a key and its subkeys extended, written to hand in, or brought. Real gpg, ssh and sshd."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.client import BIN
from tests.support.command import trex
from tests.support.owner import wait_until_ended
from trex.openpgp.keylist import DAY, Key, parse_listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

TREX = f"{BIN}/trex"


def key_of(account: Account, fingerprint: str) -> Key:
    listing = account.run("gpg", "--with-colons", "--list-keys", fingerprint).decode()
    return parse_listing(listing)[0]


def let_expire(laptop: Client, fingerprint: str, when: str) -> None:
    """Give the key and its subkeys an end; one that is a second away is waited for."""
    for subkeys in (["*"], []):  # while the key has not ended: then gpg passes over them
        laptop.account.run("gpg", "--batch", "--quick-set-expire", fingerprint, when, *subkeys)
    if when == "seconds=1":
        wait_until_ended(lambda: key_of(laptop.account, fingerprint))


def ends(key: Key) -> list[float]:
    """Return the days until the end of the key and of each subkey."""
    return [(part.expires - time.time()) / DAY for part in key.subkeys]


def test_a_key_that_has_expired_is_extended_with_its_subkeys_and_handed_in(
    laptop: Client, bob: Account, keys: Keys, holder: Holder, log_in: Callable[..., Asked]
) -> None:
    fingerprint = keys["cv25519"]
    laptop.account.run(
        "gpg",
        "--batch",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
        "--quick-add-key",
        fingerprint,
        "ed25519",
        "sign",
        "never",
    )
    let_expire(laptop, fingerprint, "seconds=1")
    bob.import_keys(laptop.account.run("gpg", "--export", fingerprint))
    bob.write(f"{fingerprint} trust nosign\n")
    assert log_in("bob").verdict == "PAM_AUTHINFO_UNAVAIL"
    done = laptop.run("trex", "renew")
    assert done.returncode == 0, done.stderr
    assert re.search(
        rf"^Extended: {fingerprint}, until \d{{4}}-\d\d-\d\d$", done.stdout, re.MULTILINE
    )
    assert f"Written: {laptop.home}/{fingerprint}.asc" in done.stdout
    key = key_of(laptop.account, fingerprint)
    assert len(key.subkeys) == 3
    assert all(720 < days < 740 for days in ends(key))
    written = (laptop.home / f"{fingerprint}.asc").read_bytes()
    enrol = trex("enroll", "--user", "bob", "--key", "-", "--yes", stdin=written)
    assert enrol.returncode == 0, enrol.stderr
    assert log_in("bob").verdict == "PAM_SUCCESS"


def test_it_is_brought_to_a_host_as_copy_id_brings_one(
    laptop: Client, bob: Account, keys: Keys, sshd: Callable[..., Sshd]
) -> None:
    fingerprint = keys["cv25519"]
    let_expire(laptop, fingerprint, "10d")
    bob.import_keys(laptop.account.run("gpg", "--export", fingerprint))
    bob.write(f"{fingerprint} trust nosign\n")
    name = laptop.knows(sshd(methods="publickey"), user="bob")
    done = laptop.run("trex", "renew", "--trex", TREX, "--expires", "1y", name)
    assert done.returncode == 0, done.stderr
    assert f"{name}: enrolled, and a challenge was answered." in done.stderr
    assert bob.record.read_text() == f"{fingerprint} trust nosign\n"
    assert all(360 < days < 370 for days in ends(key_of(bob, fingerprint)))


def test_of_several_keys_it_is_the_one_that_logs_in_or_the_one_named(
    laptop: Client, holder: Holder, keys: Keys
) -> None:
    login, mail = keys["cv25519"], keys["nistp256"]
    laptop.account.import_keys(holder.secret(mail))
    done = laptop.run("trex", "renew")
    assert done.returncode == 1
    assert "there are 2 keys: which one?" in done.stderr
    assert f"{login} (Test Key <cv25519@example.org>)" in done.stderr
    laptop.name_keys(f"bob@server.example.org {login}")
    assert f"Extended: {login}" in laptop.run("trex", "renew").stdout
    done = laptop.run("trex", "renew", "--key", mail.lower(), "--output", "mail.asc")
    assert done.stdout == (
        f"Extended: {mail}, until {done.stdout.split()[3]}\nWritten: {laptop.home}/mail.asc\n"
    )
    assert "there is no such key" in laptop.run("trex", "renew", "--key", "A" * 40).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--expires", "yesterday"], "gpg did not extend "),
        (["--output", "notes"], "notes exists, and is no exported key"),
        (["--output", "nowhere/key.asc"], ""),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_no_file(
    laptop: Client, keys: Keys, words: list[str], said: str
) -> None:
    laptop.account.write("mine\n", "notes")
    done = laptop.run("trex", "renew", *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "trex: hint: " in done.stderr
    assert (laptop.home / "notes").read_text() == "mine\n"


def test_without_the_primary_secret_key_nothing_is_extended(laptop: Client, keys: Keys) -> None:
    """It may lie in a safe, with the subkeys alone here."""
    fingerprint = keys["cv25519"]
    secret = laptop.account.run("gpg", "--batch", "--export-secret-subkeys", fingerprint)
    laptop.account.run("gpg", "--batch", "--yes", "--delete-secret-keys", fingerprint)
    laptop.account.import_keys(secret)
    done = laptop.run("trex", "renew")
    assert done.returncode == 1
    assert f"gpg did not extend {fingerprint}" in done.stderr
    assert "this takes the primary secret key" in done.stderr


def test_without_a_key_it_says_how_to_make_one(bob: Account) -> None:
    done = trex("renew", account=bob)
    assert done.returncode == 1
    assert "there is no key here that could answer" in done.stderr
    bob.run("gpgconf", "--kill", "all")
