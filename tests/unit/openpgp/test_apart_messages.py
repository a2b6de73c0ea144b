"""A message of its own for each key of two people: real gpg makes them of public keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.accounts import own_account
from tests.support.publickeys import ALICE, BOB, DAVE, FIRST, exported, keyring
from trex.openpgp.apart import Apart
from trex.openpgp.errors import SamePerson
from trex.openpgp.keyblock import key_id, session_key_ids
from trex.openpgp.record import parse_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trex.openpgp.recipients import Chosen

CONTEXT = "trex user=alice"
BLOCK = re.compile(r"-----BEGIN PGP MESSAGE-----.*?-----END PGP MESSAGE-----\n", re.DOTALL)
THREE = b"first text\nnext text\nlast text\n"


class Watched(Apart):
    """What it hands to which gpg is noted; all of it is done."""

    fed: list[tuple[list[str], bytes, str]]

    def look_up_line(self, line: str, home: str) -> None:
        self.fed = []
        self.look_up(parse_record(f"{line}\n".encode(), "record", home))

    def _feed(self, recipients: list[Chosen], plaintext: bytes, context: str) -> None:
        self.fed.append(([one.name for one in recipients], plaintext, context))
        super()._feed(recipients, plaintext, context)


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Watched]:
    home = keyring(tmp_path / "gnupg", "two-subkeys", "until-2099")
    for name in ("expired", "two-subkeys", "until-2099", "until-may-2099"):
        (tmp_path / f"{name}.pgp").write_bytes(exported(name))
    with Watched("/usr/bin/gpg", own_account(), str(home), 300) as made:
        yield made


def readers(text: str) -> list[list[str]]:
    """Return who can read each message: ids of subkeys (RFC 4880, 5.1)."""
    return [session_key_ids(block) for block in BLOCK.findall(text)]


def test_each_key_gets_its_own_text_alone_in_the_order_of_the_record(
    gpg: Watched, tmp_path: Path
) -> None:
    dave = f"{tmp_path}/until-may-2099.pgp"
    gpg.look_up_line(f"2of:{FIRST}!,{dave},{BOB} trust nosign", str(tmp_path))
    gpg.encrypt(THREE, CONTEXT)
    assert gpg.fed == [
        ([f"{FIRST}!"], b"first text\n", CONTEXT),
        ([dave], b"next text\n", CONTEXT),
        ([BOB], b"last text\n", CONTEXT),
    ]
    message = gpg.message()
    assert message.keys == [f"{FIRST}!", DAVE, BOB]
    of_first, of_dave, of_bob = readers(message.armored)
    assert of_first == [key_id(FIRST)]
    assert [len(of_dave), len(of_bob)] == [1, 1]
    assert of_dave != of_bob
    assert re.findall(r"Message .*\n", message.armored) == [
        f"Message 1 of 3, for the key {key_id(ALICE)}:\n",
        f"Message 2 of 3, for the key {key_id(DAVE)}:\n",
        f"Message 3 of 3, for the key {key_id(BOB)}:\n",
    ]


def test_keys_in_files_take_one_gpg_each(gpg: Watched, tmp_path: Path) -> None:
    """Starting one takes half of its time."""
    names = [f"{tmp_path}/{name}.pgp" for name in ("two-subkeys", "until-2099", "until-may-2099")]
    gpg.look_up_line(f"2of:{','.join(names)} trust nosign", str(tmp_path))
    gpg.encrypt(THREE, CONTEXT)
    assert gpg.message().keys == [ALICE, BOB, DAVE]
    assert len(gpg._started) == len(names)


def test_one_key_under_two_names_gets_no_message(gpg: Watched, tmp_path: Path) -> None:
    gpg.look_up_line(f"2of:{ALICE},{BOB},{tmp_path}/two-subkeys.pgp trust nosign", str(tmp_path))
    with pytest.raises(SamePerson):
        gpg.encrypt(THREE, CONTEXT)
    assert gpg.fed == []


def test_where_a_key_is_left_out_all_others_get_their_texts_anew(
    gpg: Watched, tmp_path: Path
) -> None:
    """gpg alone says that a key in a file has expired, when it has the other texts already."""
    carol = f"{tmp_path}/expired.pgp"
    line = f"# trex: leave-out-unusable\n2of:{ALICE},{carol},{BOB} trust nosign"
    gpg.look_up_line(line, str(tmp_path))
    gpg.encrypt(THREE, CONTEXT)
    message = gpg.message()
    assert message.keys == [ALICE, BOB]
    assert re.findall(r"Message . of ., .*\n", message.armored) == [
        f"Message 1 of 2, for the key {key_id(ALICE)}:\n",
        f"Message 2 of 2, for the key {key_id(BOB)}:\n",
    ]
    assert [len(one) for one in readers(message.armored)] == [1, 1]
    assert gpg.fed[3:] == [([ALICE], b"first text\n", CONTEXT), ([BOB], b"last text\n", CONTEXT)]
    assert list(gpg.left_out) == [carol]


@pytest.mark.parametrize("plaintext", [b"first text\nnext text\n", THREE + b"one more\n"])
def test_a_text_for_each_key_of_the_record_or_none_at_all(
    gpg: Watched, tmp_path: Path, plaintext: bytes
) -> None:
    names = [f"{tmp_path}/{name}.pgp" for name in ("two-subkeys", "until-2099", "until-may-2099")]
    gpg.look_up_line(f"2of:{','.join(names)} trust nosign", str(tmp_path))
    with pytest.raises(ValueError, match="zip"):
        gpg.encrypt(plaintext, CONTEXT)
    assert gpg.fed == []
