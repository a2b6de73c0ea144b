"""Keyrings with a key that contains another person's: with real gpg.

Advisory Trex itself: gpg's `-r FINGERPRINT` finds a key that carries the fingerprint as a subkey.
"""

from __future__ import annotations

import itertools
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.graft import AUTHENTICATE, ENCRYPT, carrying
from tests.support.keys import Holder, gnupg_version
from trex.openpgp.keyblock import packets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Asked, Log

EXPIRED = -3600  # seconds from now
OWNER, MALLORY = "owner", "mallory"


class Cast:
    """Whoever takes part: a holder of secret keys each, and what the keyrings can have of them."""

    def __init__(self, place: Path) -> None:
        self.owner, self.mallory = Holder(place / OWNER), Holder(place / MALLORY)
        self.key = self.owner.make("owner@example.org", at="20200101T000000")
        self.subkey = subkeys(self.owner, self.key)[1]
        self.strangers = self.mallory.make("mallory@example.org")
        self.mallory.make("other@example.org")
        self.honest = self.owner.public(self.key)
        self.mallorys = self.mallory.public(self.strangers)
        self.carrying = {
            "the key": carrying(self.mallory, self.strangers, self.honest, AUTHENTICATE),
            "the subkey": carrying(self.mallory, self.strangers, self.honest, ENCRYPT),
            "the subkey, expired": carrying(
                self.mallory, self.strangers, self.honest, ENCRYPT, EXPIRED
            ),
        }


def subkeys(holder: Holder, key: str) -> list[str]:
    """Return the fingerprints of a key and its subkeys."""
    listing = holder._run("--with-colons", "--list-keys", key).decode()
    return [row.split(":")[9] for row in listing.splitlines() if row.startswith("fpr:")]


@pytest.fixture(scope="module")
def cast(place: Path) -> Iterator[Cast]:
    made = Cast(place / "poisoned")
    yield made
    made.owner.close()
    made.mallory.close()


@pytest.fixture
def judge(ask: Callable[..., Asked], log: Log) -> Callable[..., None]:
    """See that the owner is let in, and that the message says nothing to Mallory."""

    def judged(cast: Cast, *arguments: str) -> None:
        asked = ask("alice", "--answer-with", cast.mallory.command(), arguments=arguments)
        assert asked.verdict == "PAM_AUTH_ERR", log.verdict()
        log.clear()
        asked = ask("alice", "--answer-with", cast.owner.command(), arguments=arguments)
        assert asked.verdict == "PAM_SUCCESS", log.verdict()
        assert cast.strangers not in log.verdict()

    return judged


def keyring(alice: Account, *blocks: bytes) -> None:
    """Write a keyring with just these keys, in this order."""
    subprocess.run(["rm", "-rf", alice.gnupg], check=True)
    alice.gnupg.mkdir(mode=0o700)
    alice.own(alice.gnupg, 0o700)
    (alice.gnupg / "pubring.gpg").write_bytes(b"".join(blocks))
    alice.own(alice.gnupg / "pubring.gpg", 0o600)


@pytest.mark.parametrize("what", ["the key", "the subkey", "the subkey, expired"])
@pytest.mark.parametrize("named", ["by fingerprint", "by subkey", "by address"])
def test_in_every_order_the_owner_gets_in_and_nobody_else(
    alice: Account, cast: Cast, judge: Callable[..., None], what: str, named: str
) -> None:
    name = {"by subkey": f"{cast.subkey}!", "by address": "owner@example.org"}.get(named, cast.key)
    alice.write(f"{name} trust nosign\n")
    for blocks in itertools.permutations([cast.carrying[what], cast.honest]):
        keyring(alice, *blocks)
        judge(cast)


@pytest.mark.parametrize("order", list(itertools.permutations(["honest", "carrying", "mallory's"])))
def test_whatever_gpg_imports_in_whatever_order(
    alice: Account, cast: Cast, judge: Callable[..., None], ask: Callable[..., Asked], log: Log,
    order: tuple[str, ...],
) -> None:  # fmt: skip
    """gpg does not import a key of which another key in the keyring has a copy."""
    alice.write(f"{cast.key} trust nosign\n")
    sources = {"honest": cast.honest, "mallory's": cast.mallorys,
               "carrying": cast.carrying["the key"]}  # fmt: skip
    for name in order:
        alice.run("gpg", "--batch", "--no-autostart", "--import", stdin=sources[name], check=False)
    if f"fpr:::::::::{cast.subkey}:" in alice.run("gpg", "--list-keys", "--with-colons").decode():
        judge(cast)
        return
    assert order.index("carrying") < order.index("honest")
    asked = ask("alice", "--answer-with", cast.mallory.command())
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f"the key {cast.key} is not in the keyring" in log.verdict()


def test_the_log_names_who_carries_a_copy(
    alice: Account, cast: Cast, ask: Callable[..., Asked], log: Log
) -> None:
    alice.write(f"{cast.key} trust nosign\n")
    keyring(alice, cast.carrying["the key"], cast.honest)
    assert ask("alice", "--answer-with", cast.owner.command()).verdict == "PAM_SUCCESS"
    assert f"a copy of {cast.key} is carried by {cast.strangers}, and not used" in log.everything()


@pytest.mark.parametrize("kept_by", ["the login's own agent", "an agent that runs"])
@pytest.mark.parametrize("named", ["by fingerprint", "by address"])
def test_a_copy_of_the_signer_keeps_nobody_out_and_signs_nothing(
    alice: Account, cast: Cast, holder: Holder, keys: dict[str, str], ask: Callable[..., Asked],
    log: Log, named: str, kept_by: str,
) -> None:  # fmt: skip
    """gpg looks a signing key up by a fingerprint that another key may carry."""
    signer = keys["signing"]
    name = signer if named == "by fingerprint" else "signing@example.org"
    honest = holder.public(signer)
    copy = carrying(cast.mallory, cast.strangers, honest, AUTHENTICATE)
    for blocks in itertools.permutations([copy, honest]):
        keyring(alice, cast.honest, *blocks)
        give_secret(alice, holder.secret(signer))
        alice.write(f"{cast.key} trust {name}\n")
        if kept_by == "an agent that runs":
            alice.run("gpg-connect-agent", "/bye")
        try:
            asked = ask("alice", "--answer-with", cast.owner.command())
            assert asked.verdict == "PAM_SUCCESS", log.verdict()
            assert signer in log.verdict()
            assert cast.strangers not in log.verdict()
        finally:
            alice.end_daemons()
        log.clear()


def give_secret(alice: Account, key: bytes) -> None:
    """Have the secret key in alice's home, and her public keyring as it was."""
    elsewhere = alice.home / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    alice.own(elsewhere, 0o700)
    alice.run("gpg", "--homedir", str(elsewhere), "--batch", "--import", stdin=key)
    alice.run("gpgconf", "--homedir", str(elsewhere), "--kill", "all")
    (elsewhere / "private-keys-v1.d").rename(alice.gnupg / "private-keys-v1.d")
    subprocess.run(["rm", "-r", elsewhere], check=True)


def test_two_recipients_of_whom_one_carries_the_other(
    alice: Account, cast: Cast, ask: Callable[..., Asked], log: Log
) -> None:
    """Both are the record's: either can answer, in every order."""
    for names in itertools.permutations([cast.key, cast.strangers]):
        alice.write(f"{','.join(names)} trust nosign\n")
        keyring(alice, cast.carrying["the key"], cast.honest)
        for holder in (cast.owner, cast.mallory):
            asked = ask("alice", "--answer-with", holder.command())
            assert asked.verdict == "PAM_SUCCESS", log.verdict()


def test_a_key_in_a_file_needs_no_keyring(
    alice: Account, cast: Cast, ask: Callable[..., Asked], judge: Callable[..., None]
) -> None:
    (alice.home / "key.pgp").write_bytes(cast.honest)
    alice.own(alice.home / "key.pgp", 0o600)
    alice.write(f"{alice.home}/key.pgp trust nosign\n")
    keyring(alice, cast.carrying["the key"])
    judge(cast)
    subprocess.run(["rm", "-r", alice.gnupg], check=True)
    judge(cast)
    assert not alice.gnupg.exists()
    (alice.home / "key.pgp").unlink()
    assert ask("alice", arguments=("nullok",)).verdict == "PAM_AUTHINFO_UNAVAIL"


def test_central_mode_with_a_keyring_and_with_files(
    alice: Account, account: Callable[[str], Account], cast: Cast, judge: Callable[..., None],
    place: Path,
) -> None:  # fmt: skip
    reader = account("reader")
    keyring(reader, cast.carrying["the key"], cast.honest)
    users = place / "users"
    users.mkdir()
    (users / "alice.pgp").write_bytes(cast.honest)
    arguments = (f"auth_file={users}/%u", f"gnupg_home={reader.gnupg}", "run_as=reader")
    for name in (cast.key, f"{cast.subkey}!", f"{users}/alice.pgp"):
        (users / "alice").write_text(f"{name} trust nosign\n")
        judge(cast, *arguments)


def test_where_gpg_is_to_vouch_a_copy_can_keep_the_owner_out_but_lets_nobody_in(
    alice: Account, cast: Cast, ask: Callable[..., Asked], judge: Callable[..., None], log: Log
) -> None:
    """gpg's trust model looks keys up as its search does; the log names who carries the copy."""
    alice.write(f"{cast.key} notrust nosign\n")
    keyring(alice, cast.mallorys, cast.honest)
    trust(alice, cast.key)
    judge(cast)
    for trusted in (cast.key, cast.strangers):
        keyring(alice, cast.carrying["the key"], cast.honest)
        trust(alice, trusted)
        asked = ask("alice", "--answer-with", cast.mallory.command())
        assert asked.verdict != "PAM_SUCCESS"
        assert (
            f"a copy of {cast.key} is carried by {cast.strangers}, and not used" in log.everything()
        )
        log.clear()


def trust(alice: Account, key: str) -> None:
    """Have gpg trust this key ultimately."""
    alice.run("gpg", "--no-autostart", "--import-ownertrust", stdin=f"{key}:6:\n".encode())
    alice.run("gpg", "--no-autostart", "--check-trustdb")


def test_a_program_that_encrypts_to_nobody_is_found_out(
    alice: Account, ask: Callable[..., Asked], log: Log, place: Path
) -> None:
    """A stand-in for gpg that forgets its recipients: it encrypts with a passphrase alone."""
    wrapper = place / "gpg-to-nobody"
    wrapper.write_text(
        "#!/bin/sh\n"
        'case " $* " in *" --encrypt "*) exec /usr/bin/gpg --homedir /nonexistent --batch --armor '
        "--status-fd 3 --pinentry-mode loopback --passphrase x --symmetric;; esac\n"
        'exec /usr/bin/gpg "$@"\n'
    )
    wrapper.chmod(0o755)
    asked = ask("alice", "--answer", "x", arguments=(f"gpg={wrapper}",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert not asked.prompt


def test_a_program_that_encrypts_to_another_key_is_found_out(
    alice: Account, cast: Cast, ask: Callable[..., Asked], log: Log, place: Path
) -> None:
    alice.import_keys(cast.mallorys)
    wrapper = place / "gpg-to-mallory"
    wrapper.write_text(
        "#!/bin/sh\n"
        f'case " $* " in *" --encrypt "*) exec /usr/bin/gpg "$@" -r {cast.strangers};; esac\n'
        'exec /usr/bin/gpg "$@"\n'
    )
    wrapper.chmod(0o755)
    asked = ask("alice", "--answer-with", cast.mallory.command(), arguments=(f"gpg={wrapper}",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert not asked.prompt
    mallorys = subkeys(cast.mallory, cast.strangers)[1][-16:]
    assert f"gpg made a message that the key id {mallorys} can answer; expected" in log.verdict()


def test_a_copy_does_not_undo_that_the_owner_revoked_a_subkey(
    alice: Account, cast: Cast, ask: Callable[..., Asked], log: Log, place: Path
) -> None:
    """Whoever has the token that was stolen can still decrypt: they must not be asked."""
    owner = Holder(place / "owner-of-a-stolen-token")
    try:
        key = owner.make("stolen@example.org")
        subkey = subkeys(owner, key)[1]
        copy = carrying(cast.mallory, cast.strangers, owner.public(key), ENCRYPT)
        owner._run("--command-fd", "0", "--no-tty", "--edit-key", key,
                   stdin=b"key 1\nrevkey\ny\n0\n\ny\nsave\n")  # fmt: skip
        alice.write(f"{subkey}! trust nosign\n")
        for blocks in itertools.permutations([copy, owner.public(key)]):
            keyring(alice, *blocks)
            asked = ask("alice", "--answer-with", owner.command())
            assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
            assert f"the key {subkey}! was revoked" in log.verdict()
            log.clear()
    finally:
        owner.close()


def test_where_keyboxd_keeps_the_keys(
    alice: Account, cast: Cast, judge: Callable[..., None]
) -> None:
    """Its index has one key for a fingerprint; GnuPG 2.2 ignores common.conf."""
    for what, order in itertools.product(cast.carrying, ([0, 1], [1, 0])):
        subprocess.run(["rm", "-rf", alice.gnupg], check=True)
        alice.gnupg.mkdir(mode=0o700)
        alice.own(alice.gnupg, 0o700)
        alice.write("use-keyboxd\n", ".gnupg/common.conf")
        sources = [cast.honest, cast.carrying[what]]
        for number in order:
            alice.run("gpg", "--batch", "--import", stdin=sources[number], check=False)
        alice.end_daemons()
        if gnupg_version() < (2, 4) and order[0]:  # it does not import what another key carries
            continue
        for name in (cast.key, f"{cast.subkey}!", "owner@example.org"):
            alice.write(f"{name} trust nosign\n")
            judge(cast)


def test_megabytes_of_others_keys_keep_nobody_out(
    alice: Account, cast: Cast, judge: Callable[..., None], log: Log
) -> None:
    """Three hundred keys with user ids that gpg lists in four times their length: 20 MB in all."""
    user_id = b"\xb4" + bytes([200]) + b":" * 200
    key, *rest = [packet for _, _, packet in packets(cast.carrying["the key"])]
    made = b"".join(
        _renumbered(key, number) + user_id * 75 + b"".join(rest) for number in range(300)
    )
    keyring(alice, made, cast.honest)
    for name in (cast.key, f"{cast.subkey}!", "owner@example.org"):
        alice.write(f"{name} trust nosign\n")
        judge(cast)
    assert len(log.everything()) < 4000


def _renumbered(key: bytes, number: int) -> bytes:
    """Return another key: made some seconds later."""
    (body,) = [body for _, body, _ in packets(key)]
    made = int.from_bytes(body[1:5], "big") - number - 1
    return b"\x99" + len(body).to_bytes(2, "big") + body[:1] + made.to_bytes(4, "big") + body[5:]
