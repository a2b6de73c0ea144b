"""OpenPGP packets: their fingerprints; what is cut off, partial or something else is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from trex.openpgp.keyblock import (
    Malformed,
    _algorithm,
    _header,
    blocks,
    dearmored,
    fingerprint,
    key_id,
    packets,
    session_key_ids,
)

SEEDS = Path(__file__).resolve().parents[3] / "fixtures/fuzz/keyblock"
KEY, CARRYING = (SEEDS / "key").read_bytes(), (SEEDS / "carrying").read_bytes()
MESSAGE = (SEEDS / "message").read_text(encoding="ascii")


def armored(content: bytes, what: str = "PUBLIC KEY BLOCK") -> bytes:
    """Return what gpg makes of it."""
    return subprocess.run(
        ["/usr/bin/gpg", "--homedir", "/nonexistent", "--no-options", "--enarmor"],
        input=content, capture_output=True, check=True,
    ).stdout.replace(b"ARMORED FILE", what.encode())  # fmt: skip


def listed(content: bytes) -> list[str]:
    """Return the fingerprints that gpg finds."""
    done = subprocess.run(
        ["/usr/bin/gpg", "--homedir", "/nonexistent", "--no-options", "--batch", "--with-colons",
         "--trust-model", "always", "--no-default-keyring", "--keyring", "gnupg-ring:/dev/null",
         "--show-keys"],
        input=content, capture_output=True, check=True,
    )  # fmt: skip
    rows = [row.split(":") for row in done.stdout.decode().splitlines()]
    return [row[9] for row in rows if row[0] == "fpr"]


@pytest.mark.parametrize("content", [KEY, CARRYING], ids=["honest", "carrying"])
@pytest.mark.parametrize("how", ["binary", "armored"])
def test_fingerprints_are_those_that_gpg_finds(content: bytes, how: str) -> None:
    (block,) = blocks(content if how == "binary" else armored(content))
    assert [block.fingerprint, *block.subkeys] == listed(content)
    assert block.raw() == content


def test_keys_of_version_5_and_6() -> None:
    five, six = (blocks((SEEDS / f"version-{number}").read_bytes())[0] for number in (5, 6))
    assert five.fingerprint.startswith("80C4DBA00DB09F05C457EB84")
    assert six.fingerprint.startswith("8E43A3E69E691227E4AC9212")
    assert key_id(five.fingerprint) == "80C4DBA00DB09F05"
    assert key_id(blocks(KEY)[0].fingerprint) == blocks(KEY)[0].fingerprint[-16:]


def test_the_version_of_a_key_and_the_algorithms_of_all_that_it_has() -> None:
    """RFC 9580, 9.1: EdDSA and ECDH are 22 and 18, Ed25519 and X25519 27 and 25."""
    assert _found(KEY) == (4, [22, 18])
    assert _found((SEEDS / "version-5").read_bytes()) == (5, [22, 18])
    assert _found((SEEDS / "version-6").read_bytes()) == (6, [27, 25])
    assert _algorithm(b"\x04\0\0\0\0\x13\x01") == _algorithm(b"\x04\0\0\0\0\x13") == 19
    assert _algorithm(b"\x04\0\0\0\0") == _algorithm(b"\x04") == 0


def _found(content: bytes) -> tuple[int, list[int]]:
    (block,) = blocks(content)
    return block.version, block.algorithms


@pytest.mark.parametrize("tag", [5, 7])
def test_a_secret_key_is_refused_also_behind_a_public_one(tag: int) -> None:
    with pytest.raises(Malformed, match=r"^a secret key$"):
        blocks(KEY + bytes([0xC0 | tag, 6]) + b"\x04\0\0\0\0\x16")


def test_a_subkey_goes_with_its_signatures() -> None:
    (block,) = blocks(CARRYING)
    kept = block.raw(frozenset(block.subkeys[1:]))
    assert [block.fingerprint, *block.subkeys[:1]] == listed(kept)
    assert len(list(packets(kept))) == len(list(packets(CARRYING))) - 2


def test_several_keys_in_one_file() -> None:
    assert len(blocks(KEY + CARRYING)) == 2
    assert len(blocks(armored(KEY) + b"some words\n" + armored(CARRYING))) == 2


def test_whom_a_message_is_for() -> None:
    assert session_key_ids(MESSAGE) == ["CD84A1CAE6498EC0", "E03386B605ED00A8"]


def message(*bodies: tuple[int, bytes]) -> str:
    """Return an armored message of these packets."""
    content = b"".join(bytes([0xC0 | tag, len(body)]) + body for tag, body in bodies)
    return armored(content, "MESSAGE").decode()


SESSION = (1, b"\x03" + bytes(range(8)) + b"rest")
ENCRYPTED = (18, b"\x01data")


@pytest.mark.parametrize(
    "bodies",
    [
        (),
        (SESSION,),
        (SESSION, ENCRYPTED, ENCRYPTED),
        (ENCRYPTED, SESSION),
        (SESSION, (9, b"without integrity protection")),
        (SESSION, (3, b"\x04\x09\x00"), ENCRYPTED),
        (SESSION, (3, SESSION[1]), ENCRYPTED),
        ((1, b"\x06" + bytes(8) + b"rest"), ENCRYPTED),
        ((1, b"\x03" + bytes(7)), ENCRYPTED),
        ((11, b"literal"), SESSION, ENCRYPTED),
        (SESSION, ENCRYPTED, (11, b"literal")),
        (SESSION, (10, b"PGP"), ENCRYPTED),
        (SESSION, (10, SESSION[1]), ENCRYPTED),
    ],
)
def test_what_is_not_just_encrypted_to_keys_is_malformed(
    bodies: tuple[tuple[int, bytes], ...],
) -> None:
    with pytest.raises(Malformed):
        session_key_ids(message(*bodies))


def test_a_message_for_nobody_has_no_ids() -> None:
    assert session_key_ids(message(ENCRYPTED)) == []
    for tag in (18, 20):
        assert session_key_ids(message(SESSION, (tag, ENCRYPTED[1]))) == ["0001020304050607"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"alice@example.org",
        KEY[:-1],
        KEY[1:],
        MESSAGE.encode(),
        b"\xff\xfe" + "-----BEGIN PGP PUBLIC KEY BLOCK-----".encode("utf-16-le"),
        armored(KEY)[:200],
        armored(KEY).replace(b"\n\n", b"\n"),
        b"\x95\x00\x02\x04x",  # a secret key
        KEY + b"\x9d\x00\x02\x04x",  # a secret subkey behind a public key
        b"\x99\x00\x02\x03x",  # of version 3
        b"\xc6\xe1xx",  # in parts
        b"\x9b\x04x",  # to the end of the file
        bytes([0xCD, 1, 65]) + KEY,  # a user id that belongs to no key
    ],
)
def test_what_is_no_public_key_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        blocks(content)


@pytest.mark.parametrize("length", [0, 191, 192, 8383, 8384])
def test_every_form_of_length(length: int) -> None:
    """RFC 4880, 4.2.1 and 4.2.2."""
    body = bytes(length)
    forms = [b"\x9a" + length.to_bytes(4, "big"), b"\xc6\xff" + length.to_bytes(4, "big")]
    if length < 1 << 16:
        forms.append(b"\x99" + length.to_bytes(2, "big"))
    if length < 192:
        forms += [b"\x98" + bytes([length]), b"\xc6" + bytes([length])]
    elif length < 8384:
        forms.append(b"\xc6" + bytes([(length - 192 >> 8) + 192, (length - 192) & 255]))
    for header in forms:
        whole = header + body
        assert list(packets(whole)) == [(6, body, whole)]
        assert len(list(packets(whole + whole))) == 2


def test_lengths_of_four_octets_and_of_parts() -> None:
    assert _header(b"\xc6\xff\x01\x02\x03\x04", 0) == (6, 6, 6 + 0x01020304)
    assert _header(b"\xc6\xdf\xff", 0) == (6, 3, 3 + 8383)
    for first in (b"\xe0", b"\xfe"):
        with pytest.raises(Malformed, match=r"^a packet in parts$"):
            _header(b"\xc6" + first + b"xxxx", 0)


@pytest.mark.parametrize("first", [0x00, 0x01, 0x40, 0x7C, 0x83, 0x9B])
def test_what_begins_as_no_packet_or_as_one_without_an_end_is_none(first: int) -> None:
    with pytest.raises(Malformed, match=r"^no OpenPGP packet$"):
        _header(bytes([first]) + b"\0\0\0\0\0", 0)


def test_an_armor_without_its_end_is_not_whole() -> None:
    with pytest.raises(Malformed, match=r"^an armored key without its end$"):
        blocks(armored(KEY).partition(b"-----END")[0])
    with pytest.raises(Malformed, match=r"^no OpenPGP public key$"):
        blocks(b"some words")


@pytest.mark.parametrize("armor", [b" ", b"\n\nA\n"], ids=["no blank line", "no base64"])
def test_an_armor_that_holds_no_base64_is_malformed(armor: bytes) -> None:
    begin, end = (f"-----{word} PGP PUBLIC KEY BLOCK-----".encode() for word in ("BEGIN", "END"))
    with pytest.raises(Malformed, match=r"^an armor that cannot be read$"):
        blocks(begin + armor + end)


def test_a_byte_order_mark_before_an_armor_does_no_harm() -> None:
    assert dearmored(b"\xef\xbb\xbf" + armored(KEY)) == KEY


def test_an_unknown_version_is_named() -> None:
    for body, version in ((b"\x09", 9), (b"", 0)):
        with pytest.raises(Malformed, match=f"a key of version {version}"):
            fingerprint(body)
