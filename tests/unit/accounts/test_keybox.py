"""Keys read from gpg's own file: as gpg has them, or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import gnupg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.keyring import public_key
from tests.support.accounts import own_account
from trex.cli.accounts.keybox import (
    DISABLED,
    OWNER_TRUST,
    ROW,
    TRUST_ROW,
    blobs,
    find_in_keybox,
    has_disabled,
)
from trex.openpgp.keyblock import Malformed, blocks

KEYS = [public_key(f"user{number}@example.org") for number in range(3)]
FINGERPRINTS = [blocks(key)[0].fingerprint for key in KEYS]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    gnupg.GPG(gnupghome=str(tmp_path), gpgbinary="/usr/bin/gpg").import_keys(b"".join(KEYS))
    return tmp_path


def test_the_keys_are_those_that_gpg_has_written(home: Path) -> None:
    found = [blocks(raw)[0] for raw in blobs((home / "pubring.kbx").read_bytes())]
    assert [block.fingerprint for block in found] == FINGERPRINTS


def test_a_key_is_found_by_its_fingerprint_and_by_a_subkey_s(home: Path) -> None:
    who = own_account()
    subkey = blocks(KEYS[2])[0].subkeys[0]
    for names, numbers in (([FINGERPRINTS[1]], [1]), ([f"{subkey}!"], [2]), (["A" * 40], [])):
        found = find_in_keybox(str(home), who, names)
        assert found is not None
        assert [block.fingerprint for block in found] == [FINGERPRINTS[n] for n in numbers]


@pytest.mark.parametrize(
    "name", ["pubring.gpg", "common.conf", "public-keys.d"], ids=["an old ring", "keyboxd", "its"]
)
def test_another_keyring_beside_it_is_left_to_gpg(home: Path, name: str) -> None:
    (home / name).touch()
    assert find_in_keybox(str(home), own_account(), FINGERPRINTS[:1]) is None


def test_an_address_is_left_to_gpg(home: Path) -> None:
    assert find_in_keybox(str(home), own_account(), ["user0@example.org"]) is None


def test_what_others_can_write_is_left_to_gpg(home: Path) -> None:
    (home / "pubring.kbx").chmod(0o666)
    assert find_in_keybox(str(home), own_account(), FINGERPRINTS[:1]) is None


def test_a_disabled_key_is_known_from_gpg_s_own_database(tmp_path: Path) -> None:
    """It is only there: the keybox does not say so."""
    gpg = gnupg.GPG(gnupghome=str(tmp_path), gpgbinary="/usr/bin/gpg")
    tmp_path.chmod(0o700)
    gpg.import_keys(KEYS[0])
    gpg.trust_keys(FINGERPRINTS[:1], "TRUST_FULLY")
    assert not has_disabled((tmp_path / "trustdb.gpg").read_bytes())
    assert find_in_keybox(str(tmp_path), own_account(), FINGERPRINTS[:1])
    subprocess.run(
        ["gpg", "--homedir", tmp_path, "--batch", "--command-fd", "0", "--edit-key",
         FINGERPRINTS[0]], input=b"disable\nsave\n", check=True, capture_output=True,
    )  # fmt: skip
    assert has_disabled((tmp_path / "trustdb.gpg").read_bytes())
    assert find_in_keybox(str(tmp_path), own_account(), FINGERPRINTS[:1]) is None


def test_only_a_whole_row_of_trust_counts() -> None:
    row = bytearray(ROW)
    row[0], row[OWNER_TRUST] = TRUST_ROW, DISABLED
    assert has_disabled(bytes(ROW) + row)
    assert not has_disabled(bytes(row[:-1]))
    row[0] = 1
    assert not has_disabled(bytes(row))


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_no_content_is_read_outside_of_itself(content: bytes, where: int, byte: int) -> None:
    """A user's file that root's process reads: refused, never an unforeseen error."""
    whole = bytearray(b"\x00\x00\x00\x10\x02\x01" + bytes(10) + content)
    whole[where % len(whole)] = byte
    try:
        assert all(raw in content or raw == b"" for raw in blobs(bytes(whole)))
    except Malformed:
        pass


@pytest.mark.parametrize("cut", [1, 15, 31, 33, 200])
def test_a_keybox_that_is_cut_off_is_refused(home: Path, cut: int) -> None:
    path = home / "pubring.kbx"
    path.write_bytes(path.read_bytes()[:cut])
    assert find_in_keybox(str(home), own_account(), FINGERPRINTS[:1]) is None
