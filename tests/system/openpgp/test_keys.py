"""Keys of every usual kind, signatures, and keys that cannot be used: with real gpg."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests.support import sandbox
from tests.support.keys import Holder, gnupg_version
from trex.openpgp.keyblock import blocks, session_key_ids
from trex.openpgp.prompt import NOTATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys


def decrypted(holder: Holder, prompt: str) -> tuple[str, str]:
    """Return the plaintext and what gpg's status lines say of the message."""
    done = subprocess.run(
        ["gpg", "--homedir", holder.home, "--batch", "--status-fd", "2", "--decrypt"],
        input=prompt.encode(), capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("kind", ["cv25519", "nistp256", "rsa2048", "rsa4096"])
@pytest.mark.parametrize("named", ["by address", "by fingerprint"])
def test_a_key_of_each_kind(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], kind: str, named: str
) -> None:
    alice.import_keys(holder.public(keys[kind]))
    name = keys[kind] if named == "by fingerprint" else f"{kind}@example.org"
    alice.write(f"{name} trust nosign\n")
    asked = log_in("alice")
    assert asked.verdict == "PAM_SUCCESS"
    assert asked.prompt.startswith("\nTrex: ")
    assert "\n-----BEGIN PGP MESSAGE-----\n" in asked.prompt
    assert asked.prompt.endswith("-----END PGP MESSAGE-----\nYou have 10 minutes.\nResponse: ")
    assert "/home" not in asked.prompt
    assert "example.org" not in asked.prompt
    assert "Test Key" not in asked.prompt


def test_the_plaintext_and_the_context(
    alice: Account, holder: Holder, ask: Callable[..., Asked]
) -> None:
    asked = ask("alice", "--rhost", "203.0.113.7")
    plaintext, status = decrypted(holder, asked.prompt)
    assert re.fullmatch(r"[a-zA-Z0-9]{10}\n", plaintext)
    told = re.search(r"\[GNUPG:\] PLAINTEXT 62 \d+ (\S+)", status)
    assert told
    assert re.fullmatch(
        r"trex user=alice host=\S+ service=trex-test-\d+ from=203\.0\.113\.7 until=\S+Z",
        unquote(told[1]),
    )
    assert "NOTATION_DATA" not in status


@pytest.mark.parametrize("holding", [0, 1])
def test_either_of_two_recipients_can_answer(
    alice: Account, holder: Holder, keys: Keys, ask: Callable[..., Asked], place: Path, holding: int
) -> None:
    both = [keys["cv25519"], keys["rsa2048"]]
    alice.import_keys(holder.public(*both))
    alice.write(f"{both[0]},rsa2048@example.org trust nosign\n")
    one = Holder(place / f"holder-of-{holding}")
    try:
        one.take(holder.secret(both[holding]))
        asked = ask("alice", "--answer-with", one.command())
    finally:
        one.close()
    assert asked.verdict == "PAM_SUCCESS"


@pytest.mark.parametrize("named", ["signing@example.org", "by fingerprint"])
def test_a_signed_challenge(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log, named: str
) -> None:
    signer = keys["signing"]
    alice.import_keys(holder.secret(signer))
    alice.write(f"{keys['cv25519']} trust {signer if named == 'by fingerprint' else named}\n")
    before = sandbox.listing(alice.home)
    asked = log_in("alice", "--rhost", "fe80::7%eth0")
    assert asked.verdict == "PAM_SUCCESS"
    assert sandbox.listing(alice.home) == before, "nor does gpg-agent rewrite an imported key"
    assert signer in log.verdict()
    plaintext, status = decrypted(holder, asked.prompt)
    assert re.fullmatch(r"[a-zA-Z0-9]{10}\n", plaintext)
    assert f"[GNUPG:] VALIDSIG {signer}" in status
    assert f"[GNUPG:] NOTATION_NAME {NOTATION}" in status
    notation = "".join(re.findall(r"\[GNUPG:\] NOTATION_DATA (\S+)", status))
    told = re.search(r"\[GNUPG:\] PLAINTEXT 62 \d+ (\S+)", status)
    assert told
    assert unquote(notation) == unquote(told[1])
    assert "from=fe80::7%25eth0" in unquote(notation), "gpg expands % in a notation"


def test_the_signing_agent_ends_and_one_that_ran_before_stays(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    """The fixture `nothing_left` checks for the agent that a login starts."""
    alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    alice.run("gpg-connect-agent", "/bye")
    agent = alice.run("gpg-connect-agent", "GETINFO pid", "/bye")
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert alice.run("gpg-connect-agent", "--no-autostart", "GETINFO pid", "/bye") == agent
    alice.run("gpgconf", "--kill", "gpg-agent")


def refused(asked: Asked, log: Log, reason: str) -> None:
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts, "never an unsigned message, nor one for another key"
    assert reason in log.verdict()


def test_a_signing_key_with_a_passphrase_is_refused_and_no_pinentry_appears(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.gnupg.mkdir(exist_ok=True)
    alice.run("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "secret",
              "--quick-gen-key", "Locked <locked@example.org>", "ed25519", "sign", "never")  # fmt: skip
    alice.end_daemons()
    canary = alice.home / "pinentry-ran"
    pinentry = alice.write(f"#!/bin/sh\ntouch {canary}\n", "pinentry")
    pinentry.chmod(0o755)
    alice.write(f"pinentry-program {pinentry}\n", ".gnupg/gpg-agent.conf")
    alice.write(f"{keys['cv25519']} trust locked@example.org\n")
    refused(log_in("alice"), log, "the key locked@example.org needs a passphrase")
    assert not canary.exists()


def test_a_signing_key_without_its_secret_part(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.import_keys(holder.public(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    refused(log_in("alice"), log, "the key signing@example.org cannot sign: its secret key is not")


def test_a_part_of_an_address_finds_no_key(
    alice: Account, holder: Holder, log_in: Callable[..., Asked], log: Log
) -> None:
    """`alice@example.org` must not find the key of `malice@example.org`."""
    malice = holder.make("malice@example.org")
    alice.import_keys(holder.public(malice))
    alice.write("alice@example.org trust nosign\n")
    refused(log_in("alice"), log, "the key alice@example.org is not in the keyring")


def test_an_address_in_other_scripts(
    alice: Account, holder: Holder, log_in: Callable[..., Asked]
) -> None:
    key = holder.make("jürgen@müller.example", name="Jürgen Müller")
    alice.import_keys(holder.public(key))
    alice.write("jürgen@müller.example trust nosign\n")
    assert log_in("alice").verdict == "PAM_SUCCESS"


def test_signs_in_an_address_reach_gpg_as_they_are(
    alice: Account, holder: Holder, log_in: Callable[..., Asked]
) -> None:
    """They pass through the lines of an options file."""
    address = "a.b+c_d'e%41{f}$HOME#&|@sub-domain.example.org"
    alice.import_keys(holder.public(holder.make(address)))
    alice.write(f"{address} trust nosign\n")
    assert log_in("alice").verdict == "PAM_SUCCESS"


def test_expired_revoked_and_unsuitable_keys_are_named_with_the_reason(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    expired = holder.make("expired@example.org", expire="10d", at="20200101T000000")
    revoked = holder.make("revoked@example.org")
    holder.revoke(revoked)
    alice.import_keys(holder.public(expired, revoked, keys["signing"]))
    reasons = {
        expired: "has expired, on 2020-01-11",
        "expired@example.org": "has expired, on 2020-01-11",
        revoked: "was revoked",
        "revoked@example.org": "was revoked",
        keys["signing"]: "has no subkey for encryption",
        "0" * 40: "is not in the keyring",
    }
    for key, reason in reasons.items():
        for record in (key, f"{keys['cv25519']},{key}"):
            alice.write(f"{record} trust nosign\n")
            log.clear()
            refused(log_in("alice"), log, f"the key {key} {reason}")


def test_trust(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    key = keys["cv25519"]
    alice.write(f"{key} notrust nosign\n")
    alice.run("gpg", "--batch", "--check-trustdb")
    before = sandbox.listing(alice.home)
    refused(log_in("alice"), log, f"the key {key} is not trusted by gpg's trust model")
    assert sandbox.listing(alice.home) == before
    alice.run("gpg", "--batch", "--import-ownertrust", stdin=f"{key}:6:\n".encode())
    alice.run("gpg", "--batch", "--check-trustdb")
    before = sandbox.listing(alice.home)
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert sandbox.listing(alice.home) == before


def test_trust_that_was_given_but_not_yet_computed_is_refused_with_the_way_out(
    alice: Account, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    """gpg would compute it and write it into the home: a login does not."""
    key = keys["cv25519"]
    alice.write(f"{key} notrust nosign\n")
    alice.run("gpg", "--batch", "--import-ownertrust", stdin=f"{key}:6:\n".encode())
    refused(log_in("alice"), log, "gpg --check-trustdb may update the trust database")
    alice.run("gpg", "--batch", "--check-trustdb")
    assert log_in("alice").verdict == "PAM_SUCCESS"


def test_no_keyring_and_no_trust_database(
    alice: Account, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    """gpg would make them: nothing in a home may change."""
    for path in alice.gnupg.glob("trustdb.gpg"):
        path.unlink()
    alice.write(f"{keys['cv25519']} notrust nosign\n")
    before = sandbox.listing(alice.home)
    refused(
        log_in("alice"),
        log,
        "is not trusted by gpg's trust model: /home/alice/.gnupg has no trustdb",
    )
    (alice.gnupg / "pubring.kbx").unlink()
    before = sandbox.listing(alice.home)
    log.clear()
    refused(log_in("alice"), log, "is not in the keyring: /home/alice/.gnupg has no keyring")
    assert sandbox.listing(alice.home) == before
    subprocess.run(["rm", "-r", alice.gnupg], check=True)
    log.clear()
    refused(log_in("alice"), log, "/home/alice/.gnupg: no keyring: No such file or directory")
    assert not alice.gnupg.exists()


def test_a_keyring_that_keyboxd_keeps(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log
) -> None:
    """GnuPG 2.4 has it; 2.2 ignores common.conf and reads the keyring itself."""
    subprocess.run(["rm", "-r", alice.gnupg], check=True)
    alice.gnupg.mkdir(mode=0o700)
    alice.own(alice.gnupg, 0o700)
    alice.write("use-keyboxd\n", ".gnupg/common.conf")
    alice.import_keys(holder.public(keys["cv25519"]))
    assert (alice.gnupg / "public-keys.d").exists() == (gnupg_version() >= (2, 4))
    assert log_in("alice").verdict == "PAM_SUCCESS", log.verdict()


def test_a_keyring_of_the_old_format(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    (alice.gnupg / "pubring.kbx").unlink()
    (alice.gnupg / "pubring.gpg").write_bytes(holder.public(keys["cv25519"]))
    alice.own(alice.gnupg / "pubring.gpg", 0o600)
    assert log_in("alice").verdict == "PAM_SUCCESS"


def message_in(prompt: str) -> str:
    """Return the armored message that a prompt shows."""
    begin, end = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"
    return begin + prompt.partition(begin)[2].partition(end)[0] + end


def test_a_key_of_version_5(
    alice: Account, log_in: Callable[..., Asked], ask: Callable[..., Asked], log: Log
) -> None:
    """GnuPG can use it from 2.4 on. Nobody here has its secret key."""
    seed = Path(__file__).resolve().parents[3] / "fixtures/fuzz/keyblock/version-5"
    (block,) = blocks(seed.read_bytes())
    alice.run("gpg", "--batch", "--no-autostart", "--import", stdin=seed.read_bytes(), check=False)
    for name in (block.fingerprint, f"{block.subkeys[0]}!"):
        alice.write(f"{name} trust nosign\n")
        asked = ask("alice", "--answer", "x")
        if gnupg_version() >= (2, 4):
            assert asked.verdict == "PAM_AUTH_ERR", log.verdict()
            assert session_key_ids(message_in(asked.prompt)) == [block.subkeys[0][:16]]
        else:
            assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
            assert f"the key {name} is not in the keyring" in log.verdict()
        log.clear()


def test_a_program_that_is_not_gnupg_shows_nothing(
    alice: Account, ask: Callable[..., Asked], log: Log
) -> None:
    """Sequoia's chameleon, in Debian from 13 on, ignores `recipient` in an options file."""
    program = shutil.which("gpg-sq")
    assert bool(program) == (gnupg_version() >= (2, 4)), "script/bootstrap installs it"
    asked = ask("alice", "--answer", "x", arguments=(f"gpg={program or '/nonexistent'}",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert not asked.prompt
