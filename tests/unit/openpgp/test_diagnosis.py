"""Status lines and listings as gpg 2.2.40 and gpg 2.4.7 wrote them, and what they mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.errors import GpgFailed, OpenPGPError
from trex.openpgp.diagnosis import diagnose
from trex.openpgp.errors import (
    IsSubkey,
    KeyExpired,
    KeyNotFound,
    KeyNotTrusted,
    KeyRevoked,
    KeyUnusable,
    UserIdRevoked,
)
from trex.openpgp.gpg import Gpg
from trex.openpgp.keylist import parse_listing, parse_status
from trex.openpgp.recipients import Chosen, carriers, choose, choose_signer, verdict

STATUS = Path(__file__).resolve().parents[3] / "fixtures/status"
CASES = sorted(STATUS.glob("*/*"))


class Listed(Gpg):
    """A gpg that has listed the record's keys already."""

    def __init__(self, chosen: list[Chosen], signer: Chosen | None = None) -> None:
        self.chosen = chosen
        self.signer = signer


def error_of(expected: dict[str, str], status: str, listing: str) -> OpenPGPError:
    """Do what a login does: what the listing does not show, gpg's status lines do."""
    keys = parse_listing(listing)
    signer: Chosen | None = None
    try:
        if "sign_as" in expected:  # the fixture lists this key alone
            chosen = [Chosen(expected["recipient"], "A" * 40, [])]
            signer = choose_signer(expected["sign_as"], keys)
        else:
            chosen = [choose(expected["recipient"], keys, trust=True)]
    except OpenPGPError as error:
        return error
    return diagnose(parse_status(status.encode()), Listed(chosen, signer))


@pytest.mark.parametrize("fixture", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_gpg_says_becomes_a_typed_error(fixture: Path) -> None:
    text = fixture.read_text(encoding="utf-8")
    expected = dict(re.findall(r"^# (\w+): (.*)$", text, flags=re.MULTILINE))
    status, _, listing = text.partition("# listing\n")
    error = error_of(expected, status, listing)
    assert expected["error"] in [kind.__name__ for kind in type(error).__mro__]
    assert expected.get("says", "") in str(error)


def test_each_kind_is_there_for_both_versions() -> None:
    kinds = {version: {p.name for p in STATUS.glob(f"{version}/*")} for version in ("2.2", "2.4")}
    assert kinds["2.2"] == kinds["2.4"]
    assert len(kinds["2.2"]) >= 8


@given(st.binary(max_size=400))
def test_any_status_is_read(text: bytes) -> None:
    for keyword, lines in parse_status(text + b"\n[GNUPG:] FAILURE x y\n").items():
        assert " " not in keyword
        assert all(isinstance(words, list) for words in lines)


@given(st.text(max_size=400))
def test_any_listing_is_judged(listing: str) -> None:
    try:
        keys = parse_listing(f"pub:u:{listing}\n")
    except GpgFailed:  # none of gpg's
        return
    for name in ("alice@example.org", "A" * 40, f"{'A' * 40}!", "/etc/key.pgp"):
        key, fault = verdict(name, keys, trust=False)
        assert key is not None or isinstance(fault, KeyNotFound)


PRIMARY, SUBKEY = "1" * 40, "2" * 40
LISTING = f"""\
pub:-:255:22:1111111111111111:1700000000:::-:::scESC:::::ed25519:::0:
fpr:::::::::{PRIMARY}:
uid:-::::1700000000::X::T <alice@example.org>::::::::::0:
sub:-:255:18:2222222222222222:1700000000::::::e:::::cv25519::
fpr:::::::::{SUBKEY}:
"""


def test_a_key_from_the_future_points_at_the_clock() -> None:
    """Otherwise a machine that boots in 1970 would say that no key can encrypt."""
    keys = parse_listing(LISTING.replace("1700000000", "4102444800"))
    assert "so a clock may be wrong" in str(verdict(PRIMARY, keys, trust=True)[1])


def test_a_subkey_is_named_by_an_exclamation_mark_only() -> None:
    keys = parse_listing(LISTING)
    with pytest.raises(IsSubkey, match=f"expected {PRIMARY} for its key, or {SUBKEY}! for this"):
        choose(SUBKEY, keys, trust=True)
    chosen = choose(f"{SUBKEY}!", keys, trust=True)
    assert (chosen.fingerprint, chosen.subkeys) == (PRIMARY, [SUBKEY])


def test_a_copied_key_is_no_slip() -> None:
    """Whoever is told to write that key's fingerprint would let its owner in."""
    listing = LISTING.replace("::::::e:::::cv25519", "::::::a:::::ed25519")
    with pytest.raises(KeyNotFound) as caught:
        choose(SUBKEY, parse_listing(listing), trust=True)
    assert PRIMARY not in str(caught.value)


def test_an_address_whose_user_id_was_revoked() -> None:
    keys = parse_listing(LISTING.replace("uid:-", "uid:r"))
    fault = verdict("alice@example.org", keys, trust=True)[1]
    assert "the user id with that address was revoked" in str(fault)
    assert verdict(PRIMARY, keys, trust=True)[1] is None


def test_of_two_keys_with_one_address_the_newer_is_taken() -> None:
    newer = LISTING.replace("1700000000", "1700000001").replace("11111", "33333")
    for listing in (LISTING + newer, newer + LISTING):
        chosen = choose("alice@example.org", parse_listing(listing), trust=True)
        assert chosen.fingerprint == "3" * 40


def test_whoever_carries_a_copy_is_told_apart() -> None:
    stranger = LISTING.replace("11111", "33333")  # with the same subkey
    keys = parse_listing(LISTING + stranger)
    assert carriers(PRIMARY, keys) == []
    assert [key.fingerprint for key in carriers(f"{SUBKEY}!", keys)] == [PRIMARY, "3" * 40]
    assert carriers(f"{SUBKEY}!", keys[:1]) == []
    assert carriers("alice@example.org", keys) == []


def test_a_failure_code_that_is_no_number_is_only_vague() -> None:
    for code in (b"x", b"9" * 5000, "\u0661".encode()):
        error = diagnose(parse_status(b"[GNUPG:] FAILURE encrypt " + code), Listed([]))
        assert type(error).__name__ == "GpgFailed"


@pytest.mark.parametrize(
    ("validity", "vouched"),
    [("u", True), ("f", True), ("m", True), ("q", False), ("n", False), ("-", False), ("", False)],
)
def test_without_trust_in_the_record_gpg_has_to_vouch(validity: str, vouched: bool) -> None:
    """For the key, or for the user id with that address: the validity of another user id does not count."""
    for row, name in (("pub:-", PRIMARY), ("uid:-", "alice@example.org")):
        keys = parse_listing(LISTING.replace(row, f"{row[:4]}{validity}"))
        fault = verdict(name, keys, trust=False)[1]
        assert (fault is None) == vouched
        assert vouched or type(fault) in (KeyNotTrusted, KeyUnusable, UserIdRevoked)
    keys = parse_listing(LISTING + "uid:u::::1700000000::Y::T <bob@example.org>::::::::::0:\n")
    assert isinstance(verdict("alice@example.org", keys, trust=False)[1], KeyNotTrusted)


def test_one_of_two_user_ids_with_an_address_is_enough() -> None:
    second = "uid:{}::::1700000000::Y::Work <alice@example.org>::::::::::0:\n"
    lost = parse_listing(LISTING.replace("uid:-", "uid:r") + second.format("-"))
    assert verdict("alice@example.org", lost, trust=True)[1] is None
    gone = parse_listing(LISTING.replace("uid:-", "uid:r") + second.format("r"))
    assert isinstance(verdict("alice@example.org", gone, trust=True)[1], UserIdRevoked)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("pub:-", "pub:r", KeyRevoked),
        ("pub:-", "pub:e", KeyExpired),
        ("pub:-", "pub:i", KeyUnusable),
        ("scESC", "scESCD", KeyUnusable),
    ],
)
def test_the_key_counts_and_not_its_subkeys_alone(
    old: str, new: str, kind: type[KeyUnusable]
) -> None:
    """Whatever gpg says of the subkeys of such a key."""
    keys = parse_listing(LISTING.replace(old, new))
    for name in (PRIMARY, f"{SUBKEY}!", "alice@example.org"):
        assert isinstance(verdict(name, keys, trust=True)[1], kind)


def test_a_part_of_an_address_is_another_s() -> None:
    """Also if gpg lists all keys, as for a keyring that keyboxd keeps."""
    keys = parse_listing(LISTING.replace("<alice@", "<malice@"))
    for name in ("alice@example.org", "malice@example.or", "alice@example.or"):
        assert isinstance(verdict(name, keys, trust=True)[1], KeyNotFound)
    assert verdict("malice@example.org", keys, trust=True)[1] is None
