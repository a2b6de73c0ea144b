"""Whether the keys of a challenge still count when it is answered; real gpg lists them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.accounts import own_account
from tests.support.publickeys import ALICE, BOB, FIRST, SECOND, exported, keyring
from trex.errors import OtherAccount
from trex.login.options import parse_options
from trex.openpgp.errors import AsksForTwo, KeyEnded
from trex.openpgp.recipients import Chosen
from trex.openpgp.record import parse_record
from trex.openpgp.standing import RINGS, Standing
from trex.system.privilege import Account

if TYPE_CHECKING:
    from pathlib import Path

ME = own_account()
BOTH = [FIRST, SECOND]


class Desk:
    """A record and a keyring, and challenges that are made of them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.record = place / "record"
        self.home = keyring(place / "gnupg", "two-subkeys")
        self.write(f"{ALICE} trust nosign")

    def write(self, record: str, path: Path | None = None) -> None:
        new = self.place / "new"
        new.write_text(f"{record}\n")
        new.chmod(0o600)
        new.rename(path or self.record)

    def begin(self, *used: str, asked: str = ALICE, arguments: tuple[str, ...] = ()) -> Standing:
        """Return what stands of a challenge whose message is for these subkeys."""
        options = parse_options(["gpg_timeout=300", *arguments])
        standing = Standing(options, ME, ME, str(self.record), str(self.home))
        standing.watch(parse_record(self.record.read_bytes(), str(self.record), "/"))
        key = Chosen(asked, ALICE, list(used))
        key.used = list(used)
        standing.keys = [key]
        return standing


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_where_nothing_has_changed_no_gpg_is_started(desk: Desk) -> None:
    standing = desk.begin(SECOND, arguments=("gpg=/nonexistent",))
    assert standing.is_unchanged()
    standing.check()


@pytest.mark.parametrize("what", ["record", "key file", *RINGS])
def test_every_file_that_decides_is_watched(desk: Desk, what: str) -> None:
    key, other = desk.place / "alice.pgp", desk.place / "other.pgp"
    for path in (key, other):
        path.write_bytes(exported("two-subkeys"))
    desk.write(f"{key},{BOB} trust nosign")
    (desk.home / "public-keys.d").mkdir()
    standing = desk.begin(FIRST)
    other.touch()
    assert standing.is_unchanged()
    desk.write("x", {"record": desk.record, "key file": key}.get(what, desk.home / what))
    assert not standing.is_unchanged()


def test_a_file_that_goes_is_a_change_too(desk: Desk) -> None:
    standing = desk.begin(FIRST)
    desk.record.unlink()
    assert not standing.is_unchanged()


def test_a_keyring_under_another_name_is_a_change_too(desk: Desk) -> None:
    """Behind a link it has the inode and the time that it had."""
    ring = desk.home / "pubring.gpg"
    ring.rename(desk.place / "ring")
    ring.with_suffix(".kbx").symlink_to(desk.place / "ring")
    standing = desk.begin(FIRST)
    ring.with_suffix(".kbx").rename(ring)
    assert not standing.is_unchanged()


def test_what_is_added_meanwhile_keeps_nobody_out(desk: Desk) -> None:
    standing = desk.begin(*BOTH)
    keyring(desk.home, "until-2099", "two-subkeys")
    desk.write(f"{BOB},{ALICE} trust nosign")
    assert not standing.is_unchanged()
    standing.check()


@pytest.mark.parametrize(("used", "ended"), [([FIRST], False), ([SECOND], True), (BOTH, True)])
@pytest.mark.parametrize("where", ["keyring", "file"])
def test_a_subkey_that_is_revoked_meanwhile_ends_what_was_encrypted_to_it(
    desk: Desk, where: str, used: list[str], ended: bool
) -> None:
    path = desk.place / "alice.pgp"
    path.write_bytes(exported("two-subkeys"))
    if where == "file":
        desk.write(f"{path} trust nosign")
    standing = desk.begin(*used)
    keyring(desk.home, "one-revoked")
    path.write_bytes(exported("one-revoked"))
    if ended:
        with pytest.raises(KeyEnded):
            standing.check()
    else:
        standing.check()


@pytest.mark.parametrize("record", [f"{BOB} trust nosign", f"{SECOND}! trust nosign"])
def test_a_key_that_leaves_the_record_ends_its_challenge(desk: Desk, record: str) -> None:
    keyring(desk.home, "until-2099", "two-subkeys")
    standing = desk.begin(FIRST)
    desk.write(record)
    with pytest.raises(KeyEnded):
        standing.check()


def test_a_key_file_that_goes_ends_its_challenge(desk: Desk) -> None:
    path = desk.place / "alice.pgp"
    path.write_bytes(exported("two-subkeys"))
    desk.write(f"{path} trust nosign")
    standing = desk.begin(FIRST)
    path.unlink()
    with pytest.raises(KeyEnded):
        standing.check()


def test_a_record_that_asks_for_two_by_now_is_not_answered_by_one(desk: Desk) -> None:
    keyring(desk.home, "until-2099", "two-subkeys")
    one = desk.begin(FIRST)
    desk.write(f"2of:{ALICE},{BOB} trust nosign")
    with pytest.raises(AsksForTwo):
        one.check()
    assert one.asks_for_two
    two = desk.begin(FIRST)
    desk.write(f"2of:{BOB},{ALICE} trust nosign")
    two.check()
    desk.write(f"{BOB},{ALICE} trust nosign")
    two.check()
    assert not two.asks_for_two


def test_a_record_that_becomes_another_account_s_lets_nobody_in(desk: Desk) -> None:
    standing = desk.begin(FIRST)
    desk.write(f"# trex: uid={ME.uid + 1}\n{ALICE} trust nosign")
    with pytest.raises(OtherAccount):
        standing.check()


def test_the_record_as_it_is_and_its_keys_with_their_subkeys(desk: Desk) -> None:
    keyring(desk.home, "until-2099", "two-subkeys", "expired")
    names = f"{ALICE},alice@example.org,{SECOND}!,carol@example.org"
    desk.write(f"{names} trust nosign")
    content, able = desk.begin(FIRST).able()
    assert content == desk.record.read_bytes()
    assert able == {ALICE: {FIRST, SECOND}, f"{SECOND}!": {SECOND}}


def test_without_gpg_s_trust_a_key_counts_only_where_the_record_says_so(desk: Desk) -> None:
    def vouch(owner_trust: int) -> None:
        for command in ("--import-ownertrust", "--check-trustdb"):
            subprocess.run(
                ["/usr/bin/gpg", "--homedir", desk.home, "--no-options", "--batch", "--quiet",
                 "--no-autostart", command],
                input=f"{ALICE}:{owner_trust}:\n".encode(), check=True, capture_output=True,
            )  # fmt: skip

    desk.write(f"{ALICE} notrust nosign")
    vouch(2)  # unknown
    assert desk.begin(FIRST).able()[1] == {}
    vouch(6)  # ultimate
    assert desk.begin(FIRST).able()[1] == {ALICE: {FIRST, SECOND}}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_it_is_looked_with_the_reader_s_rights(desk: Desk) -> None:
    """Whoever cannot see a record knows nothing of it, and of no change either."""
    reader = Account("reader", 54321, 54321, "/nonexistent", [])
    standing = Standing(parse_options([]), ME, reader, str(desk.record), str(desk.home))
    desk.record.unlink()
    assert standing.is_unchanged()
