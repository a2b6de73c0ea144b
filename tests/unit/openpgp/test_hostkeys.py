"""Which public keys of the host a challenge names, and how."""

from __future__ import annotations

import binascii
import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from trex.errors import OptionError
from trex.openpgp import hostkeys
from trex.openpgp.hostkeys import MAX_KEYS, fingerprint, host_keys, key_named, short

if TYPE_CHECKING:
    from pathlib import Path

TYPE = b"ssh-ed25519"
CERTIFIED = b"ssh-ed25519-cert-v01@openssh.com"


def body(number: int, kind: bytes = TYPE) -> bytes:
    """Return a key (RFC 4253, 6.6), which begins with its type."""
    return len(kind).to_bytes(4, "big") + kind + number.to_bytes(36, "big")


def line(number: int) -> str:
    encoded = binascii.b2a_base64(body(number), newline=False)
    return f"{TYPE.decode()} {encoded.decode()} root at the host\n"


def named(number: int) -> str:
    printed = binascii.b2a_base64(hashlib.sha256(body(number)).digest()).decode()
    return printed.replace("/", "_")[:16]


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two keys of sshd, and what lies beside them."""
    monkeypatch.setattr(hostkeys, "DIRECTORY", str(tmp_path))
    for name, number in (("ssh_host_a_key", 1), ("ssh_host_b_key", 2), ("other_key", 3)):
        (tmp_path / name).write_text("secret")
        (tmp_path / f"{name}.pub").write_text(line(number))
    (tmp_path / "ssh_host_a_key.pub.old").write_text(line(4))
    return tmp_path


def test_the_usual_keys_are_named_in_the_order_of_their_files(etc: Path) -> None:
    warnings: list[str] = []
    assert host_keys("", warnings) == [named(1), named(2)]
    assert host_keys("none", warnings) == []
    (etc / "ssh_host_c_key.pub").write_text(line(1))
    assert host_keys("", warnings) == [named(1), named(2)], "each once"
    assert warnings == []


def test_a_host_without_sshd_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostkeys, "DIRECTORY", "/nonexistent")
    assert host_keys("", []) == []


def test_keys_that_are_chosen_are_the_only_ones(etc: Path) -> None:
    assert host_keys(f"{etc}/other_key.pub,{etc}/ssh_host_b_key.pub", []) == [named(3), named(2)]
    assert host_keys(f"{etc}/other_key.pub,{etc}/other_key.pub", []) == [named(3)]


SPOILT = {
    "no base64": "ssh-ed25519 !!!!\n",
    "another type": f"ssh-rsa {line(1).split()[1]}\n",
    "one word": "ssh-ed25519\n",
    "nothing": "",
}


@pytest.mark.parametrize("content", SPOILT.values(), ids=SPOILT)
def test_what_is_no_key_is_left_out_or_refused_where_it_is_chosen(etc: Path, content: str) -> None:
    path = etc / "ssh_host_a_key.pub"
    path.write_text(content)
    warnings: list[str] = []
    assert host_keys("", warnings) == [named(2)]
    why = f"{path}: expected an SSH public key, found something else"
    assert warnings == [f"not named as a host key in challenges: {why}"]
    with pytest.raises(OptionError) as caught:
        host_keys(f"{etc}/ssh_host_b_key.pub,{path}", warnings)
    assert str(caught.value).endswith(f": {why}")


def test_a_file_that_is_not_there_is_refused_where_it_is_chosen(etc: Path) -> None:
    with pytest.raises(OptionError, match="no such file"):
        host_keys(f"{etc}/none.pub", [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_is_not_root_s_is_left_out(etc: Path) -> None:
    os.chown(etc / "ssh_host_a_key.pub", 1, 0)
    warnings: list[str] = []
    assert host_keys("", warnings) == [named(2)]
    assert "owner uid 1" in warnings[0]


def test_either_all_keys_are_named_or_none(etc: Path) -> None:
    for number in range(3, MAX_KEYS + 1):
        (etc / f"ssh_host_{number}_key.pub").write_text(line(number))
    warnings: list[str] = []
    assert len(host_keys("", warnings)) == MAX_KEYS == 8
    assert warnings == []
    (etc / "ssh_host_more_key.pub").write_text(line(9))
    assert host_keys("", warnings) == []
    (told,) = warnings
    assert "expected 8 at most, found 9 in" in told


def test_a_certificate_is_no_key() -> None:
    """Its own type stands in it, as a key's does: but what is compared with is the key's."""
    encoded = binascii.b2a_base64(body(1, CERTIFIED))
    with pytest.raises(ValueError, match=r"^$"):
        key_named(CERTIFIED, encoded)


def test_a_key_has_the_fingerprint_that_ssh_keygen_prints(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    told = subprocess.run(["ssh-keygen", "-l", "-f", path], check=True, capture_output=True)
    printed = told.stdout.decode().split()[1]
    kind, encoded = path.with_suffix(".pub").read_bytes().split()[:2]
    whole = fingerprint(binascii.a2b_base64(encoded))
    assert f"SHA256:{whole}" == printed
    assert key_named(kind, encoded) == short(whole) == whole[:16].replace("/", "_")


def test_a_slash_would_end_a_file_s_name_for_gpg() -> None:
    assert short("ab/de/0123456789+xyz") == "ab_de_0123456789"
