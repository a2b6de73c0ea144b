"""A client's keyring in which another key has the host's key as a subkey, with real gpg."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.graft import carrying
from tests.support.hostile import CHALLENGE, context, encrypt, gpg, gpg_bytes
from tests.support.keys import gnupg_version

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.system.conftest import Keys

RESPONSE = CHALLENGE.decode()


@pytest.fixture
def mallorys(keys: Keys) -> str:
    """Return the fingerprint of Mallory's key."""
    return keys["signing-mallory"]


@pytest.fixture
def blocks(holder: Holder, keys: Keys, mallorys: str) -> dict[str, bytes]:
    """The host's key, and Mallory's key with the host's as a subkey."""
    honest = holder.public(keys["signing"])
    return {"honest": honest, "carrying": carrying(holder, mallorys, honest)}


def write_keyring(laptop: Client, *blocks: bytes) -> None:
    """Make the keyring hold only these keys, in this order, before the client's own."""
    own = laptop.account.run("gpg", "--export", "cv25519@example.org")
    (laptop.account.gnupg / "pubring.kbx").unlink()
    laptop.account.write(b"".join([*blocks, own]), ".gnupg/pubring.gpg")


def respond(laptop: Client, holder: Holder, to: str, signer: str) -> tuple[str, str]:
    """Return the answer to a challenge of the host `web`, and who signed it."""
    message = encrypt(holder, to, name=context(host="web"), signer=signer)
    done = laptop.run("trex", "respond", stdin=message.encode())
    said = re.search("^signed +(.*)", done.stderr, re.MULTILINE)
    return done.stdout, said[1] if said else done.stderr


@pytest.mark.parametrize("order", list(itertools.permutations(["honest", "carrying"])))
def test_in_every_order_the_host_s_key_is_pinned_and_checks(
    laptop: Client, holder: Holder, keys: Keys, to: str, mallorys: str,
    blocks: dict[str, bytes], order: tuple[str, ...],
) -> None:  # fmt: skip
    key = keys["signing"]
    write_keyring(laptop, *(blocks[name] for name in order))
    assert respond(laptop, holder, to, key) == (RESPONSE, f"by {key}, not pinned")
    pinned = laptop.run("trex", "pin", "--yes", "web", key)
    assert pinned.returncode == 0, pinned.stderr
    assert mallorys not in pinned.stderr
    assert laptop.run("trex", "pins").stdout == f"web {key}\n"
    assert respond(laptop, holder, to, key) == (RESPONSE, f"by {key}, pinned for web")
    assert respond(laptop, holder, to, mallorys)[0] == ""


@pytest.mark.parametrize("order", list(itertools.permutations(["honest", "carrying"])))
def test_whatever_gpg_imports_in_whatever_order(
    laptop: Client, holder: Holder, keys: Keys, to: str, mallorys: str,
    blocks: dict[str, bytes], order: tuple[str, ...],
) -> None:  # fmt: skip
    """GnuPG 2.2 does not import a key of which another key has a copy; the error says what to do."""
    key = keys["signing"]
    for name in order:
        laptop.account.run("gpg", "--batch", "--import", stdin=blocks[name], check=False)
    if (
        f"\nfpr:::::::::{key}:\nuid"
        not in laptop.account.run("gpg", "--with-colons", "--list-keys").decode()
    ):
        assert order == ("carrying", "honest")
        assert "not checked" in respond(laptop, holder, to, key)[1]
        refused = laptop.run("trex", "pin", "--yes", "web", key)
        assert refused.returncode == 1
        assert f"is only a subkey here, of the key {mallorys}" in refused.stderr
        assert f"gpg --delete-keys {mallorys}," in refused.stderr
        assert laptop.run("trex", "pins").stdout == ""
        laptop.account.run("gpg", "--batch", "--yes", "--delete-keys", mallorys)
        laptop.account.run("gpg", "--batch", "--import", stdin=blocks["honest"])
        laptop.account.run("gpg", "--batch", "--import", stdin=blocks["carrying"])
    assert laptop.run("trex", "pin", "--yes", "web", key).returncode == 0
    assert laptop.run("trex", "pins").stdout == f"web {key}\n"
    assert respond(laptop, holder, to, key) == (RESPONSE, f"by {key}, pinned for web")


def test_keys_that_keyboxd_keeps(
    laptop: Client, holder: Holder, keys: Keys, to: str, blocks: dict[str, bytes]
) -> None:
    """GnuPG 2.2 ignores common.conf, and imports no key of which another one has a copy."""
    key = keys["signing"]
    has_keyboxd = Path("/usr/lib/gnupg/keyboxd").exists()
    assert has_keyboxd == (gnupg_version() >= (2, 4))
    order = ["carrying", "honest"] if has_keyboxd else ["honest", "carrying"]
    laptop.account.write("use-keyboxd\n", ".gnupg/common.conf")
    for block in (holder.public(to), *(blocks[which] for which in order)):
        laptop.account.run("gpg", "--batch", "--import", stdin=block, check=False)
    pinned = laptop.run("trex", "pin", "--yes", "web", key)
    assert pinned.returncode == 0, pinned.stderr
    assert respond(laptop, holder, to, key) == (RESPONSE, f"by {key}, pinned for web")


def test_a_key_that_carries_the_pinned_one_is_not_the_pinned_one(
    laptop: Client, holder: Holder, keys: Keys, to: str, blocks: dict[str, bytes]
) -> None:
    laptop.account.import_keys(blocks["honest"])
    laptop.run("trex", "pin", "--yes", "web", keys["signing"])
    write_keyring(laptop, blocks["carrying"])
    answer, said = respond(laptop, holder, to, keys["signing"])
    assert answer == ""
    assert "not in your keyring" in said


def test_a_key_that_signs_with_a_subkey_is_pinned_by_its_primary_key(
    laptop: Client, holder: Holder, to: str
) -> None:
    key = holder.make("subkeys@example.org", "signing")
    holder._run("--quick-add-key", key, "ed25519", "sign")
    listed = holder._run("--with-colons", "--list-keys", key).decode()
    subkey = re.findall(r"^fpr:+([0-9A-F]{40}):", listed, re.MULTILINE)[1]
    laptop.account.import_keys(holder.public(key))
    refused = laptop.run("trex", "pin", "--yes", "web", subkey)
    assert refused.returncode == 1
    assert f"{subkey} is only a subkey here, of the key {key}" in refused.stderr
    assert laptop.run("trex", "pin", "--yes", "web", key).returncode == 0
    assert respond(laptop, holder, to, f"{subkey}!") == (RESPONSE, f"by {key}, pinned for web")


@pytest.mark.parametrize("way", ["a passphrase", "another key", "hidden"])
def test_a_message_within_a_message_opens_no_window_and_leaves_nothing(
    laptop: Client, holder: Holder, to: str, way: str
) -> None:
    inner = {
        "a passphrase": ["--symmetric", "--passphrase", "x"],
        "another key": ["--encrypt", "--recipient", to],
        "hidden": ["--encrypt", "--hidden-recipient", to],
    }[way]
    laptop.use_pinentry(laptop.write_pinentry(f"touch {laptop.home}/asked"))
    within = gpg_bytes(holder, CHALLENGE, *inner, "--set-filename", context(host="web"))
    message = gpg(holder, within, "--encrypt", "--recipient", to, "--no-literal", "-z0")
    done = laptop.run("trex", "respond", stdin=message.encode())
    assert (done.returncode, done.stdout) == (1, "")
    assert not (laptop.home / "asked").exists()
