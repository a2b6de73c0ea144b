"""Keys that cannot be used: left out where the record says so, as long as one is left."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.command import trex
from tests.support.refusal import refused
from trex.openpgp.keyblock import session_key_ids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

NOTE = "# trex: leave-out-unusable\n"
TEXT_INFO = 4
LONG_AGO = ["--faked-system-time", "20200101T000000!"]


def info(asked: Asked) -> str:
    return "\n".join(
        fact for fact in asked.facts.get("say", []) if fact.startswith(f"{TEXT_INFO} ")
    )


def recipients(prompt: str) -> list[str]:
    """Return the ids of the subkeys that can decrypt the message in a prompt."""
    begin, end = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"
    return session_key_ids(begin + prompt.partition(begin)[2].partition(end)[0] + end)


class Ended:
    """Keys that cannot be used, each in its way, in alice's keyring or in a file of hers."""

    def __init__(self, alice: Account, holder: Holder, keys: Keys) -> None:
        self._alice = alice
        self._holder = holder
        self._keys = keys

    def make(self, way: str) -> tuple[str, str]:
        """Return a key's name in a record, and why it cannot be used."""
        name, reason = getattr(self, f"_{way.replace(' ', '_')}")()
        return name, f"the key {name} {reason}"

    def _expired(self) -> tuple[str, str]:
        key = self._holder.make("ended@example.org", expire="10d", at="20200101T000000")
        self._alice.import_keys(self._holder.public(key))
        return key, "has expired, on 2020-01-11"

    def _revoked(self) -> tuple[str, str]:
        key = self._holder.make("taken-back@example.org")
        self._holder.revoke(key)
        self._alice.import_keys(self._holder.public(key))
        return key, "was revoked"

    def _with_a_revoked_address(self) -> tuple[str, str]:
        key = self._holder.make("moved@example.org")
        self._holder._run("--quick-add-uid", key, "Test Key <stayed@example.org>")
        self._holder._run("--quick-revoke-uid", key, "Test Key <moved@example.org>")
        self._alice.import_keys(self._holder.public(key))
        return "moved@example.org", "cannot be used: the user id with that address was revoked"

    def _disabled(self) -> tuple[str, str]:
        key = self._holder.make("disabled@example.org")
        self._alice.import_keys(self._holder.public(key))
        self._alice.run("gpg", "--batch", "--no-autostart", "--command-fd", "0", "--edit-key", key,
                        stdin=b"disable\nsave\n")  # fmt: skip
        return key, "cannot be used: it is disabled"

    def _missing(self) -> tuple[str, str]:
        return "0" * 40, "is not in the keyring"

    def _with_an_expired_subkey(self) -> tuple[str, str]:
        key = self._holder.make("partly@example.org", "signing", at="20200101T000000")
        self._holder._run(*LONG_AGO, "--quick-add-key", key, "cv25519", "encr", "10d")
        self._alice.import_keys(self._holder.public(key))
        return key, "cannot be used: its encryption subkey has expired, on 2020-01-11"

    def _without_a_subkey_for_encryption(self) -> tuple[str, str]:
        key = self._keys["signing"]
        self._alice.import_keys(self._holder.public(key))
        return key, "has no subkey for encryption"

    def _in_a_file_that_is_gone(self) -> tuple[str, str]:
        return f"{self._alice.home}/gone.pgp", "is not in the keyring: there is no such file"

    def _in_a_file_and_expired(self) -> tuple[str, str]:
        key = self._holder.make("filed@example.org", expire="10d", at="20200101T000000")
        path = self._alice.write(self._holder.public(key), "filed.pgp")
        return str(path), "has expired, on 2020-01-11"

    def _in_a_file_and_revoked(self) -> tuple[str, str]:
        key = self._holder.make("filed-too@example.org")
        self._holder.revoke(key)
        path = self._alice.write(self._holder.public(key), "revoked.pgp")
        return str(path), "was revoked"


WAYS = sorted(name[1:].replace("_", " ") for name in vars(Ended) if name[0] == "_" != name[1])


@pytest.fixture
def ended(alice: Account, holder: Holder, keys: Keys) -> Ended:
    return Ended(alice, holder, keys)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("door")
def test_a_key_that_cannot_be_used_is_left_out_only_where_the_record_says_so(
    alice: Account, keys: Keys, ended: Ended, log_in: Callable[..., Asked], log: Log, way: str
) -> None:
    name, why = ended.make(way)
    for record in (f"{name},{keys['cv25519']}", f"{keys['cv25519']},{name}"):
        alice.write(f"{record} trust nosign\n")
        log.clear()
        refused(log_in("alice"), log, why)
        alice.write(f"{NOTE}{record} trust nosign\n")
        log.clear()
        asked = log_in("alice")
        assert asked.verdict == "PAM_SUCCESS", log.verdict()
        assert len(recipients(asked.prompt)) == 1
        assert f" keys={keys['cv25519']} " in log.verdict()
        [warning] = log.trex("left out, as the record says: ")
        assert why in warning
        assert f"Trex: {why}. It is left out: you can log in with another key." in info(asked)


@pytest.mark.usefixtures("door")
def test_where_none_is_left_the_login_is_refused(
    alice: Account, ended: Ended, log_in: Callable[..., Asked], log: Log
) -> None:
    first, why = ended.make("in a file and expired")
    others = [ended.make(way)[0] for way in ("expired", "missing", "in a file and revoked")]
    for names in ([first], [first, *others], [first, first]):
        alice.write(f"{NOTE}{','.join(names)} trust nosign\n")
        log.clear()
        refused(log_in("alice"), log, why)


def test_of_many_all_that_can_be_used_take_part_and_no_other_key(
    alice: Account, holder: Holder, keys: Keys, ended: Ended, log_in: Callable[..., Asked], log: Log
) -> None:  # fmt: skip
    """Each way to find out that a key cannot be used, in one login."""
    good = [keys["cv25519"], keys["rsa2048"]]
    alice.import_keys(holder.public(*good, keys["nistp256"]))
    path = alice.write(holder.public(keys["nistp256"]), "key.pgp")
    bad = [ended.make(way) for way in ("in a file and expired", "revoked", "in a file that is gone",
                                       "in a file and revoked", "missing")]  # fmt: skip
    names = [bad[0][0], good[0], bad[1][0], bad[2][0], str(path), bad[3][0], good[1], bad[4][0]]
    alice.write(f"{NOTE}{','.join(names)} trust nosign\n")
    asked = log_in("alice")
    assert asked.verdict == "PAM_SUCCESS", log.verdict()
    assert len(recipients(asked.prompt)) == 3
    assert f" keys={good[0]},{keys['nistp256']},{good[1]} " in log.verdict()
    told = "\n".join(log.trex("left out, as the record says: "))
    assert all(why in told for _, why in bad)
    assert info(asked).count("It is left out: you can log in with 3 other keys.") == len(bad)


def test_a_file_that_is_unsafe_or_no_key_still_refuses(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    """Somebody may have written it: that a key has ended is another matter."""
    path = alice.write(holder.public(keys["nistp256"]), "key.pgp")
    alice.write(f"{NOTE}{path},{keys['cv25519']} trust nosign\n")
    path.chmod(0o666)
    refused(log_in("alice"), log, "expected writable by its owner only, found mode 0666")
    alice.write(b"no key", "key.pgp")
    log.clear()
    refused(log_in("alice"), log, f"{path}: expected one OpenPGP public key")


def test_a_signing_key_is_never_left_out(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log, ended: Ended
) -> None:  # fmt: skip
    """The record asks for a signature, so a challenge without one is refused."""
    revoked, _ = ended.make("revoked")
    filed, _ = ended.make("in a file and expired")
    for record in (keys["cv25519"], f"{revoked},{keys['cv25519']}", f"{filed},{keys['cv25519']}"):
        alice.write(f"{NOTE}{record} trust {revoked}\n")
        log.clear()
        refused(log_in("alice"), log, f"the key {revoked} cannot sign: it was revoked")
    alice.import_keys(holder.public(keys["signing"]))
    alice.write(f"{NOTE}{filed},{keys['cv25519']} trust {keys['signing']}\n")
    log.clear()
    refused(log_in("alice"), log, f"the key {keys['signing']} cannot sign: its secret key is not")
    alice.import_keys(holder.secret(keys["signing"]))
    log.clear()
    asked = log_in("alice")
    assert asked.verdict == "PAM_SUCCESS", log.verdict()
    assert f" keys={keys['cv25519']},{keys['signing']} " in log.verdict()


def test_a_key_that_gpg_does_not_vouch_for(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.import_keys(holder.public(keys["rsa2048"]))
    alice.run("gpg", "--batch", "--import-ownertrust", stdin=f"{keys['cv25519']}:6:\n".encode())
    alice.run("gpg", "--batch", "--check-trustdb")
    alice.write(f"{NOTE}{keys['rsa2048']},{keys['cv25519']} notrust nosign\n")
    assert log_in("alice").verdict == "PAM_SUCCESS", log.verdict()
    [warning] = log.trex("left out, as the record says: ")
    assert f"the key {keys['rsa2048']} is not trusted by gpg's trust model" in warning


def test_the_key_of_a_stranger_never_takes_its_place(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    """The record's other key is gone, and a key carries the address of one that was revoked."""
    gone = holder.make("shared@example.org")
    holder.revoke(gone)
    stranger = holder.make("shared@example.org")
    alice.import_keys(holder.public(gone, stranger))
    alice.write(f"{NOTE}{gone},{keys['cv25519']} trust nosign\n")
    asked = log_in("alice")
    assert asked.verdict == "PAM_SUCCESS"
    assert f" keys={keys['cv25519']} " in log.verdict()


def test_the_user_gets_the_commands_to_extend_it(
    alice: Account, keys: Keys, ended: Ended, log_in: Callable[..., Asked], holder: Holder
) -> None:
    """Without --add, enrolling the extended key would take the other one out of the record."""
    name, _ = ended.make("expired")
    alice.write(f"{NOTE}{name},{keys['cv25519']} trust nosign\n")
    told = info(log_in("alice"))
    assert f"gpg --quick-set-expire {name} 2y" in told
    assert "Then here: trex enroll --add --key key.asc" in told
    [command] = re.findall(r"On your own machine: (.*?)\\n", told)
    subprocess.run(["bash", "-ec", command], check=True, cwd=alice.home, capture_output=True,
                   env={"PATH": "/usr/bin:/bin", "GNUPGHOME": str(holder.home)})  # fmt: skip
    alice.own(alice.home / "key.asc", 0o600)
    done = trex("enroll", "--add", "--key", "key.asc", "--yes", account=alice)
    assert done.returncode == 0, done.stderr
    assert f"{name},{keys['cv25519']} trust nosign" in alice.record.read_text()
    asked = log_in("alice")
    assert asked.verdict == "PAM_SUCCESS"
    assert info(asked) == ""


def test_the_one_that_expires_soon_is_told_to_be_left_out_then(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    soon = holder.make("ends-soon@example.org", expire="10d")
    alice.import_keys(holder.public(soon))
    alice.write(f"{NOTE}{soon},{keys['cv25519']} trust nosign\n")
    assert "From then on it is left out." in info(log_in("alice"))
    alice.write(f"{soon},{keys['cv25519']} trust nosign\n")
    assert "From then on you cannot log in." in info(log_in("alice"))
    alice.write(f"{NOTE}{soon} trust nosign\n")
    assert "From then on you cannot log in." in info(log_in("alice"))


def test_with_a_keyring_that_keyboxd_keeps(
    alice: Account, holder: Holder, keys: Keys, ended: Ended, log_in: Callable[..., Asked], log: Log
) -> None:  # fmt: skip
    """Its index may have one key of two, so nothing is left out before all keys are listed."""
    shutil.rmtree(alice.gnupg)
    alice.gnupg.mkdir(mode=0o700)
    alice.own(alice.gnupg, 0o700)
    alice.write("use-keyboxd\n", ".gnupg/common.conf")
    alice.import_keys(holder.public(keys["cv25519"]))
    bad = [ended.make(way) for way in ("expired", "missing", "in a file and revoked")]
    names = [name for name, _ in bad]
    alice.write(f"{NOTE}{','.join(names)},{keys['cv25519']} trust nosign\n")
    assert log_in("alice").verdict == "PAM_SUCCESS", log.verdict()
    told = "\n".join(log.trex("left out, as the record says: "))
    assert all(why in told for _, why in bad)
    alice.write(f"{NOTE}{','.join(names)} trust nosign\n")
    log.clear()
    refused(log_in("alice"), log, bad[2][1])


def test_it_costs_no_gpg_while_all_keys_can_be_used(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], place: Path
) -> None:
    path = alice.write(holder.public(keys["nistp256"]), "key.pgp")
    runs = alice.write("", "runs")
    wrapper = place / "gpg-counted"
    wrapper.write_text(f'#!/bin/sh\necho run >> {runs}\nexec /usr/bin/gpg "$@"\n')
    wrapper.chmod(0o755)
    counted = []
    for note in ("", NOTE):
        alice.write(f"{note}{keys['cv25519']},{path} trust nosign\n")
        runs.write_text("")
        assert log_in("alice", arguments=(f"gpg={wrapper}",)).verdict == "PAM_SUCCESS"
        counted.append(runs.read_text())
    assert counted[0] == counted[1] != ""
