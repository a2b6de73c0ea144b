"""A message is for the record's keys and for nobody else, or it is not shown."""

from __future__ import annotations

import binascii

import pytest

from tests.unit.openpgp.test_keyblock import CARRYING, KEY
from trex.errors import FileUnsafe, GpgFailed
from trex.openpgp.errors import WrongRecipients, WrongSigner
from trex.openpgp.keyblock import blocks
from trex.openpgp.recipients import Chosen, check_message, from_file, take_blocks

A, B, C = (Chosen(one * 40, one * 40, [one * 40, one.lower().upper() * 39 + "0"]) for one in "ABC")
SIGNER = Chosen("D" * 40, "D" * 40, ["D" * 40, "E" * 40])


def message(*ids: str) -> str:
    """Return an armored message for these key ids."""
    content = b"".join(b"\xc1\x0c\x03" + bytes.fromhex(one) + b"\x12xx" for one in ids)
    text = binascii.b2a_base64(content + b"\xd2\x02\x01x").decode()
    return f"-----BEGIN PGP MESSAGE-----\n\n{text}=AAAA\n-----END PGP MESSAGE-----\n"


def check(
    ids: list[str], considered: list[Chosen], chosen: list[Chosen], signed_by: str = ""
) -> None:
    signer = SIGNER if signed_by else None
    fingerprints = {one.fingerprint for one in considered}
    check_message(message(*ids), fingerprints, chosen, signer, {signed_by} - {""})


def test_exactly_the_record_s_keys_pass() -> None:
    check(["A" * 16], [A], [A])
    check(["A" * 15 + "0"], [A], [A])
    check(["A" * 16, "B" * 16], [A, B], [B, A])
    check(["A" * 16], [A, SIGNER], [A], "E" * 40)
    alone = Chosen("D" * 40, "D" * 40, ["D" * 40])
    check_message(message("A" * 16), {A.fingerprint, "D" * 40}, [A], alone, {"D" * 40})


@pytest.mark.parametrize(
    ("ids", "considered", "chosen", "reason"),
    [
        ([], [A], [A], "without recipients"),
        (["B" * 16], [A], [A], f"that {'A' * 40} cannot answer"),
        (["A" * 16], [A, B], [A, B], f"that {'B' * 40} cannot answer"),
        (["A" * 16, "B" * 16], [A], [A], f"that the key id {'B' * 16} can answer"),
        (["A" * 16, "0" * 16], [A], [A], f"that the key id {'0' * 16} can answer"),
        (["A" * 16], [B], [A], f"for {'B' * 40}; expected"),
        (["A" * 16], [A, B], [A], f"for {'A' * 40}, {'B' * 40}; expected"),
        (["A" * 16, "B" * 16], [A], [A, B], f"for {'A' * 40}; expected"),
        (["A" * 16], [], [A], "for no key; expected"),
    ],
)
def test_anything_else_does_not(
    ids: list[str], considered: list[Chosen], chosen: list[Chosen], reason: str
) -> None:
    with pytest.raises(WrongRecipients, match=reason):
        check(ids, considered, chosen)


@pytest.mark.parametrize("signed_by", ["C" * 40, "D" * 39])
def test_another_signer_does_not(signed_by: str) -> None:
    with pytest.raises(WrongSigner, match=f"signed as {signed_by}; expected"):
        check(["A" * 16], [A, SIGNER], [A], signed_by)


def test_no_signer_or_two_do_not() -> None:
    for signed_by in (set(), {"D" * 40, "C" * 40}):
        with pytest.raises(WrongSigner):
            check_message(
                message("A" * 16), {A.fingerprint, SIGNER.fingerprint}, [A], SIGNER, signed_by
            )


def test_what_is_no_message_does_not() -> None:
    with pytest.raises(WrongRecipients, match="not just encrypted to keys"):
        check_message("-----BEGIN PGP MESSAGE-----\nx\n", {A.fingerprint}, [A], None, set())


def test_a_file_has_one_key() -> None:
    chosen = from_file("/etc/key.pgp", KEY)
    assert chosen.block == KEY
    assert chosen.asked == chosen.fingerprint == blocks(KEY)[0].fingerprint
    assert chosen.subkeys == [chosen.fingerprint, *blocks(KEY)[0].subkeys]
    for content, found in (
        (KEY + CARRYING, "2 keys"),
        (b"", "no OpenPGP public key"),
        (KEY[:-1], "a packet that is cut off"),
    ):
        with pytest.raises(
            FileUnsafe, match=f"/etc/key.pgp: expected one OpenPGP.*, found {found}"
        ):
            from_file("/etc/key.pgp", content)


def test_a_key_is_taken_out_of_what_gpg_exported_by_its_own_fingerprint() -> None:
    (own,) = blocks(KEY)
    for exported in (KEY + CARRYING, CARRYING + KEY):
        chosen = Chosen(own.fingerprint, own.fingerprint, own.subkeys)
        take_blocks([chosen], exported)
        assert chosen.block == KEY
    with pytest.raises(GpgFailed, match=f"did not export the key {own.fingerprint}"):
        take_blocks([Chosen(own.fingerprint, own.fingerprint, [])], CARRYING)
    with pytest.raises(GpgFailed):
        take_blocks([Chosen(own.fingerprint, own.fingerprint, [])], KEY[:-1])


def test_of_one_subkey_the_others_are_left_out() -> None:
    (block,) = blocks(CARRYING)
    one = block.subkeys[0]
    chosen = Chosen(f"{one}!", block.fingerprint, [one])
    take_blocks([chosen], CARRYING)
    (taken,) = blocks(chosen.block)
    assert (taken.fingerprint, taken.subkeys) == (block.fingerprint, [one])
    assert chosen.asked == f"{one}!"
