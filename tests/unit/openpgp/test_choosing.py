"""Which of gpg's keys a record's name stands for, and why a key cannot be used."""

from __future__ import annotations

import time

import pytest

from tests.unit.openpgp.test_keyblock import CARRYING, KEY
from trex.errors import GpgFailed
from trex.openpgp.errors import (
    IsSubkey,
    KeyExpired,
    KeyNotFound,
    KeyNotTrusted,
    KeyRevoked,
    KeyUnusable,
    NoEncryptionSubkey,
    SigningKeyUnusable,
    SubkeyExpired,
    UserIdRevoked,
)
from trex.openpgp.keyblock import blocks
from trex.openpgp.keylist import Key, parse_listing
from trex.openpgp.recipients import (
    SIGN,
    Chosen,
    carriers,
    choose,
    choose_signer,
    copies_of,
    fault_of,
    take_blocks,
    verdict,
)

NOW = int(time.time())
OLD, SOON, LATER = NOW - 100_000, NOW + 100_000, NOW + 200_000
A, B, C = ("A" * 40, "B" * 40, "C" * 40)
SUB, OTHER = "5" * 40, "6" * 40
ADDRESS = "alice@example.org"


def sub(fingerprint: str = SUB, validity: str = "-", uses: str = "e", ends: object = "") -> str:
    return (
        f"sub:{validity}:255:18:{fingerprint[-16:]}:{OLD}:{ends}:::::{uses}:::::cv25519::\n"
        f"fpr:::::::::{fingerprint}:\n"
    )


def uid(validity: str = "-", address: str = ADDRESS) -> str:
    return f"uid:{validity}::::{OLD}::X::Alice <{address}>::::::::::0:\n"


def key(fingerprint: str, *rows: str, validity: str = "-", uses: str = "scESC", made: int = OLD,
        ends: object = "") -> str:  # fmt: skip
    return (
        f"pub:{validity}:255:22:{fingerprint[-16:]}:{made}:{ends}::-:::{uses}:::::ed25519:::0:\n"
        f"fpr:::::::::{fingerprint}:\n" + "".join(rows)
    )


def keys(*listings: str) -> list[Key]:
    return parse_listing("".join(listings))


def fault(name: str, *listings: str, trust: bool = True, use: str = "e") -> KeyUnusable | None:
    return verdict(name, keys(*listings), trust=trust, use=use)[1]


def chosen(name: str, *listings: str, trust: bool = True, use: str = "e") -> str:
    return choose(name, keys(*listings), trust=trust, use=use).fingerprint


def spelled(value: object) -> str:
    """Return a test's name, without the time in a listing: two workers read the clock apart."""
    return "listing" if ":" in str(value) else str(getattr(value, "__name__", value))


@pytest.mark.parametrize("validity", ["m", "f", "u"])
def test_without_trust_a_key_is_used_that_gpg_vouches_for(validity: str) -> None:
    vouched = key(A, uid(validity), sub(), validity=validity)
    for name in (A, ADDRESS, f"{SUB}!"):
        assert chosen(name, vouched, trust=False) == A


@pytest.mark.parametrize("validity", ["-", "q", "o", "", "mf"])
def test_without_trust_no_other_key_is_used(validity: str) -> None:
    """Nor one without any data, as with --fast-list-mode."""
    unknown = key(A, uid(validity), sub(), validity=validity)
    for name in (A, ADDRESS, f"{SUB}!"):
        with pytest.raises(
            KeyNotTrusted, match="gpg --check-trustdb may update the trust database"
        ):
            choose(name, keys(unknown), trust=False)
        assert chosen(name, unknown) == A


def test_the_address_that_the_record_names_is_what_gpg_has_to_vouch_for() -> None:
    mixed = key(A, uid("-"), uid("f", "bob@example.org"), sub(), validity="f")
    assert chosen("bob@example.org", mixed, trust=False) == A
    assert type(fault(ADDRESS, mixed, trust=False)) is KeyNotTrusted


def test_of_several_with_an_address_the_best_vouched_for_is_taken_and_then_the_newest() -> None:
    best, newest = key(A, uid("f"), sub()), key(B, uid("m"), sub(OTHER), made=OLD + 9)
    newer = key(C, uid("m"), sub("7" * 40), made=OLD + 8)
    for three in ((best, newest, newer), (newer, newest, best)):
        assert chosen(ADDRESS, *three) == A
    assert chosen(ADDRESS, newer, newest) == chosen(ADDRESS, newest, newer) == B
    fully = key(B, uid("f"), sub(OTHER), made=OLD + 9)
    for order in ((key(A, uid("u"), sub()), fully), (fully, key(A, uid("u"), sub()))):
        assert chosen(ADDRESS, *order) == A
    unusable = key(A, uid("u"), sub(), validity="r")
    for order in ((unusable, newest), (newest, unusable)):
        assert chosen(ADDRESS, *order) == B


def test_of_several_with_one_subkey_the_one_that_lasts_longest_is_taken() -> None:
    """The end of its subkey or its own, whichever comes first; without an end comes last."""
    short, long = key(A, sub(ends=SOON), made=OLD + 9), key(B, sub(ends=LATER))
    for order in ((short, long), (long, short)):
        assert chosen(f"{SUB}!", *order) == B
    own_end, endless = key(A, sub(), made=OLD + 9, ends=SOON), key(B, sub())
    for order in ((own_end, endless), (endless, own_end)):
        assert chosen(f"{SUB}!", *order) == B
    more = key(A, sub(ends=SOON), sub(OTHER), made=OLD + 9)  # another subkey's end says nothing
    assert chosen(f"{SUB}!", more, long) == B


def test_an_end_says_nothing_of_keys_with_one_address() -> None:
    short, long = key(A, uid(), sub(ends=SOON), made=OLD + 9), key(B, uid(), sub(OTHER))
    assert chosen(ADDRESS, short, long) == A


def test_a_subkey_that_one_of_several_calls_revoked_is_revoked() -> None:
    sound, revoked = key(A, sub()), key(B, sub(validity="r"))
    for order in ((sound, revoked), (revoked, sound)):
        found, why = verdict(f"{SUB}!", keys(*order), trust=True)
        assert (found and found.fingerprint, type(why)) == (B, KeyRevoked)
        with pytest.raises(KeyRevoked):
            choose(f"{SUB}!", keys(*order), trust=True)
    assert chosen(A, sound, revoked) == A
    assert type(fault(f"{SUB}!", revoked, trust=False)) is KeyNotTrusted
    signing = key(A, sub(validity="r", uses="s"))
    assert type(fault(f"{SUB}!", signing, use=SIGN)) is KeyRevoked
    assert type(fault(f"{SUB}!", signing)) is NoEncryptionSubkey


def test_one_subkey_is_used_alone_and_a_key_with_all_that_can_be_used() -> None:
    whole = keys(key(A, sub(), sub(OTHER), sub("7" * 40, "r"), sub("8" * 40, uses="a")))
    assert choose(A, whole, trust=True).subkeys == [SUB, OTHER]
    assert choose(f"{SUB}!", whole, trust=True).subkeys == [SUB]
    assert choose(A, keys(key(A, sub(), uses="esc")), trust=True).subkeys == [A, SUB]


@pytest.mark.parametrize(
    ("listing", "kind", "says"),
    [(key(A, sub(), validity="r"), KeyRevoked, "was revoked"),
     (key(A, sub(), uses="scESCD"), KeyUnusable, ": it is disabled"),
     (key(A, sub(), made=LATER), KeyUnusable, "creation time is in the future, so a clock may be wrong"),
     (key(A, uses="scESC"), NoEncryptionSubkey, "has no subkey for encryption"),
     (key(A, sub(validity="r")), KeyRevoked, "was revoked"),
     (key(A, sub(validity="i")), KeyUnusable, "cannot be used"),
     (key(A, sub(validity="r"), sub(OTHER, "i")), KeyUnusable, "cannot be used"),
     (key(A, sub(validity="i"), sub(OTHER, "e", ends=OLD)), KeyUnusable, "cannot be used"),
     (key(A, sub(uses="a")), NoEncryptionSubkey, "has no subkey for encryption"),
     (key(A, sub(), validity="e", ends=86400), KeyExpired, "has expired, on 1970-01-02"),
     (key(A, sub(), validity="e"), KeyExpired, "has expired"),
     (key(A, sub(validity="e", ends=86400), sub(OTHER, "e", ends=172_800), sub("7" * 40, "r")), SubkeyExpired,
      "its encryption subkey has expired, on 1970-01-03")],
    ids=spelled,
)  # fmt: skip
def test_why_a_key_cannot_be_used(listing: str, kind: type[KeyUnusable], says: str) -> None:
    found, why = verdict(A, keys(listing), trust=True)
    assert found
    assert type(why) is kind
    assert str(why).endswith(says)
    assert A in str(why)
    with pytest.raises(kind):
        choose(A, keys(listing), trust=True)


def test_what_has_expired_comes_with_the_commands_that_move_it() -> None:
    for listing in (key(A, sub(), validity="e", ends=OLD), key(A, sub(validity="e", ends=OLD))):
        why = fault(A, listing)
        assert isinstance(why, KeyExpired)
        assert f"gpg --quick-set-expire {A} 2y" in why.commands


def test_an_address_needs_one_user_id_that_was_not_revoked() -> None:
    for validities, kind in (("r", UserIdRevoked), ("rr", UserIdRevoked), ("r-", type(None))):
        listing = key(A, *map(uid, validities), sub())
        assert type(fault(ADDRESS, listing)) is kind
        assert fault(A, listing) is None


def test_what_is_not_there_is_not_found_and_a_subkey_in_the_place_of_a_key_is_told() -> None:
    assert type(fault(B, key(A, sub()))) is KeyNotFound
    assert type(fault(ADDRESS)) is KeyNotFound
    assert type(fault(f"{OTHER}!", key(A, sub()))) is KeyNotFound
    assert verdict(B, keys(key(A, sub())), trust=True)[0] is None
    assert type(fault(SUB, key(A, sub(uses="s")))) is KeyNotFound
    told = fault(SUB, key(B, sub(OTHER)), key(A, sub()))
    assert isinstance(told, IsSubkey)
    assert told.primary == A


def test_who_asks_about_one_key_alone_asks_for_no_trust() -> None:
    (one,) = keys(key(A, sub()))
    assert fault_of(A, one) is None
    assert type(fault_of(A, one, trust=False)) is KeyNotTrusted


def test_a_file_s_only_key_is_named_by_its_path() -> None:
    assert chosen("/etc/key.pgp", key(A, sub())) == A
    assert type(fault("/etc/key.pgp", key(A, sub()), trust=False)) is KeyNotTrusted


def test_a_key_signs_that_can_and_no_other() -> None:
    assert choose_signer(A, keys(key(A))).subkeys == [A]
    assert choose_signer(A, keys(key(A, sub(uses="s"), uses="cS"))).subkeys == [SUB]
    assert choose_signer(f"{SUB}!", keys(key(A, sub(uses="s"), uses="scS"))).subkeys == [SUB]


@pytest.mark.parametrize(
    ("listing", "says"),
    [(key(A, sub(), uses="cEC"), "cannot sign: it is not for signing"),
     (key(A, sub(validity="i", uses="s"), uses="cS"), "cannot sign: it is not for signing"),
     (key(A, validity="r"), "cannot sign: it was revoked"),
     (key(A, validity="e", ends=86400), "cannot sign: it has expired, on 1970-01-02"),
     (key(A, sub(validity="r", uses="s"), uses="cS"), "cannot sign: it was revoked"),
     (key(B), "cannot sign: it is not in the keyring")],
    ids=spelled,
)  # fmt: skip
def test_why_a_key_cannot_sign(listing: str, says: str) -> None:
    with pytest.raises(SigningKeyUnusable) as caught:
        choose_signer(A, keys(listing))
    assert str(caught.value).endswith(says)


def test_who_carries_a_copy_is_told_and_of_many_the_first_three() -> None:
    copies = [key(one * 40, sub(A)) for one in "BCDEF"]
    own = key(A, sub(OTHER))
    assert copies_of([A, ADDRESS, B], keys(own)) == []
    for count, more in ((1, ""), (3, ""), (4, " and 1 more"), (5, " and 2 more")):
        named = ", ".join(one * 40 for one in "BCD"[:count])
        assert copies_of([B, A], keys(own, *copies[:count])) == [
            f"a copy of {A} is carried by {named}{more}, and not used"
        ]


def test_only_a_fingerprint_has_copies() -> None:
    """In any listing: a subkey's row may come without one."""
    listed = keys(key(A, sub()), key(B, sub()))
    for one in listed:
        one.subkeys[-1].fingerprint = ADDRESS
    assert carriers(ADDRESS, listed) == []
    for one in listed:
        one.subkeys[-1].fingerprint = ""
    assert carriers("", listed) == []
    for one in listed:
        one.subkeys[-1].fingerprint = "/etc/key.pgp"
    assert carriers("/etc/key.pgp", listed) == []


def test_of_a_key_that_is_there_twice_the_one_with_the_chosen_subkeys_is_taken() -> None:
    """An older copy may lack the newest subkey."""
    (block,) = blocks(CARRYING)
    older = block.raw(frozenset(block.subkeys[1:]))
    for exported in (older + CARRYING, CARRYING + older):
        one = Chosen(block.fingerprint, block.fingerprint, block.subkeys)
        take_blocks([one], exported)
        assert one.block == CARRYING


def test_what_gpg_exported_is_said_where_it_is_no_key() -> None:
    with pytest.raises(GpgFailed, match=r"^gpg exported a packet that is cut off$"):
        take_blocks([], KEY[:-1])
