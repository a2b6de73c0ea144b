"""`trex enroll` with keys that are refused, or that would control the terminal."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PIPE, trex, with_pipe
from tests.support.keys import gnupg_version

if TYPE_CHECKING:
    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys


@pytest.mark.parametrize("fault", ["expired", "revoked", "signing only"])
def test_a_key_that_cannot_be_used(bob: Account, holder: Holder, place: Path, fault: str) -> None:
    from tests.support.keys import Holder as Another

    other = Another(place / f"faulty-{fault.replace(' ', '-')}")
    try:
        if fault == "expired":
            made = other.make("e@example.org", expire="1d", at="20200101T000000")
        elif fault == "revoked":
            made = other.make("r@example.org")
            other.revoke(made)
        else:
            made = other.make("s@example.org", "signing")
        bob.write(other.public(made), "key.asc")
    finally:
        other.close()
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 1
    reason = {"expired": "has expired, on 2020-01-0", "revoked": "was revoked",
              "signing only": "has no subkey for encryption"}[fault]  # fmt: skip
    assert f"trex: error: the key {made} {reason}" in done.stderr
    assert "trex: hint: " in done.stderr
    assert not bob.record.exists()
    assert not bob.gnupg.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a key, found nothing"),
        (b"hello\n", "expected a public key, found "),
        (b"\0" * 4096, "expected a public key, found "),
        (b"x" * (2 << 20), "export-minimal --export KEY"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n", "expected a public key, found "),
    ],
    ids=["empty", "text", "zeros", "large", "truncated"],
)
def test_a_file_that_holds_no_key(bob: Account, content: bytes, reason: str) -> None:
    bob.write(content, "key.asc")
    for done in (
        trex("enroll", "--key", "key.asc", "--yes", account=bob),
        trex("enroll", "--key", "-", "--yes", account=bob, stdin=content),
    ):
        assert done.returncode == 1
        assert reason in done.stderr
        assert "trex: hint: " in done.stderr
    assert not bob.record.exists()


SEEDS = Path(__file__).resolve().parents[3] / "fixtures/fuzz/keyblock"


def test_a_key_that_this_gpg_cannot_read_is_named(bob: Account) -> None:
    bob.write((SEEDS / "version-6").read_bytes(), "key.asc")
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 1
    assert "on this host cannot use a key of version 6: " in done.stderr
    assert "trex: hint: a key of version 4: gpg --quick-generate-key" in done.stderr
    bob.write((SEEDS / "version-5").read_bytes(), "key.asc")
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert ("on this host cannot use a key of version 5: " in done.stderr) == (
        gnupg_version() < (2, 4)
    )
    assert ("trex: hint: GnuPG 2.4, or a key of version 4" in done.stderr) == (done.returncode == 1)


def test_a_key_with_an_algorithm_that_gpg_does_not_know_is_named(bob: Account) -> None:
    """RFC 9580, 5.5.5.7: a version 4 key with algorithm 25, X25519."""
    body = b"\x04" + (1 << 30).to_bytes(4, "big") + b"\x19" + bytes(32)
    bob.write(b"\xc6" + bytes([len(body)]) + body + b"\xcd\x01u", "key.asc")
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 1
    assert "on this host cannot use a key with algorithm 25 of RFC 9580: " in done.stderr


def test_the_text_of_a_windows_editor(bob: Account, key_file: Path) -> None:
    text = key_file.read_bytes()
    armored = subprocess.run(["gpg", "--homedir", "/nonexistent", "--enarmor"], input=text,
                             capture_output=True, check=True).stdout  # fmt: skip
    armored = armored.replace(b"ARMORED FILE", b"PUBLIC KEY BLOCK")
    bob.write(armored.decode().encode("utf-16"), "key.asc")
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 1
    assert "found UTF-16, as PowerShell writes it" in done.stderr
    assert "trex: hint: gpg --armor --output FILE --export KEY" in done.stderr
    bob.write(b"\xef\xbb\xbf" + armored.replace(b"\n", b"\r\n"), "key.asc")
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 0, done.stderr


def test_a_secret_key_is_refused(bob: Account, holder: Holder, keys: Keys) -> None:
    bob.write(holder.secret(keys["cv25519"]), "key.asc")
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 1
    assert "found a secret key; it does not belong on a server" in done.stderr
    assert not bob.record.exists()


def test_root_opens_no_file_that_the_user_may_not_read(bob: Account, place: Path) -> None:
    secret = place / "only-root.asc"
    secret.write_text("x")
    secret.chmod(0o600)
    done = trex("enroll", "--user", "bob", "--key", str(secret), "--yes")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert f"use --key - < {secret}" in done.stderr
    missing = trex("enroll", "--user", "bob", "--key", "/nowhere.asc", "--yes").stderr
    assert missing == "trex: error: /nowhere.asc: No such file or directory\n"


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_standard_input_by_another_name(
    name: str, bob: Account, holder: Holder, keys: Keys
) -> None:
    """The process that opens files as the user has none, and the administrator's is not bob's."""
    content = holder.public(keys["cv25519"])
    done = trex("enroll", "--user", "bob", "--key", name, "--yes", "--dry-run", stdin=content)
    assert done.returncode == 0, done.stderr
    assert keys["cv25519"] in done.stderr + done.stdout


def test_a_pipe_of_the_shell_s_is_refused_with_what_works(
    bob: Account, holder: Holder, keys: Keys
) -> None:
    """`--key <(...)`: whoever enrols bob has made it, so bob may not open it."""
    content = holder.public(keys["cv25519"])
    done = with_pipe(content, "enroll", "--user", "bob", "--key", PIPE, "--yes")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert "< /dev/fd/" not in done.stderr  # it is gone by then
    assert "trex: hint: COMMAND | trex enroll ... --key -" in done.stderr


def test_only_root_enrols_somebody_else(bob: Account, alice: Account) -> None:
    done = trex("enroll", "--user", "alice", "--from-keyring", "--yes", account=bob)
    assert done.returncode == 1
    assert "only root or alice" in done.stderr


def test_a_user_id_cannot_steer_the_terminal(bob: Account, holder: Holder, place: Path) -> None:
    from tests.support.keys import Holder as Another

    other = Another(place / "steering")
    try:
        made = other.make("x@example.org", name="Evil \x1b]0;title\x07 \x1b[31mName")
        bob.write(other.public(made), "key.asc")
    finally:
        other.close()
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert b"\x1b" not in bob.record.read_bytes()
    assert "\x1b" not in trex("show", account=bob).stdout
