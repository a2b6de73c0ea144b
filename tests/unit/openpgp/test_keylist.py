"""A listing that root reads may have been written by the user's own processes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.cli.setup.choosing import describe_key
from trex.errors import GpgFailed
from trex.openpgp.keylist import MAX_LISTING, MAX_ROW, Sieve, day, parse_listing

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
PUB = "pub:u:255:22:0123456789ABCDEF:1700000000:::u:::scESC:::::ed25519:::0:\n"
FPR = f"fpr:::::::::{FINGERPRINT}:\n"
UID = "uid:u::::1700000000::X::Alice::::::::::0:\n"
SUB = "sub:u:255:18:0123456789ABCDEF:1700000000::::::e:::::cv25519::\n"


def test_a_listing_of_gpg_s_form_is_read() -> None:
    [key] = parse_listing(PUB + FPR + UID + SUB)
    assert key.fingerprint == FINGERPRINT
    assert (key.kind, [sub.kind for sub in key.encrypting]) == ("ed25519", ["cv25519"])
    assert key.user_ids == ["Alice"]
    assert parse_listing("") == []


def test_a_listing_of_secret_keys_says_which_of_them_are_here() -> None:
    sec = PUB.replace("pub:", "sec:").replace("scESC:::::", "scESC:::#::")
    ssb = SUB.replace("sub:", "ssb:").replace("e:::::", "e:::D2760001240103::")
    [key] = parse_listing(sec + FPR + UID + ssb)
    assert [sub.secret for sub in key.subkeys] == ["#", "D2760001240103"]
    [key] = parse_listing(PUB + FPR + UID + SUB)
    assert [sub.secret for sub in key.subkeys] == ["", ""]


@pytest.mark.parametrize(
    "fingerprint",
    ["\x1b]52;c;Y3VybCBldmlsfHNo\x07", "", FINGERPRINT.lower(), FINGERPRINT[:-1], "Z" * 40,
     FINGERPRINT + "0", "\u0660" * 40],
)  # fmt: skip
def test_a_fingerprint_is_hexadecimal_or_the_listing_is_refused(fingerprint: str) -> None:
    with pytest.raises(GpgFailed, match="fingerprint"):
        parse_listing(PUB + f"fpr:::::::::{fingerprint}:\n" + UID)


def test_a_key_without_a_fingerprint_is_refused() -> None:
    with pytest.raises(GpgFailed, match="without a fingerprint"):
        parse_listing(PUB + UID)


def test_a_version_5_fingerprint_is_one() -> None:
    [key] = parse_listing(PUB + f"fpr:::::::::{'A' * 64}:\n" + UID)
    assert key.fingerprint == "A" * 64


def test_a_listing_of_ten_megabytes_or_half_a_line_is_refused() -> None:
    with pytest.raises(GpgFailed, match="8 MiB"):
        parse_listing(PUB + FPR + UID * (10_000_000 // len(UID)))
    assert MAX_LISTING < 10_000_000
    with pytest.raises(GpgFailed, match="middle of a line"):
        parse_listing((PUB + FPR + UID)[:-5])


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (PUB.replace("ed25519", "\x1b[2J"), "eddsa255"),
        (PUB.replace(":ed25519:", ":evil:").replace(":22:", ":\x1b[H:"), "algorithm 0, 255"),
        (PUB.replace(":ed25519:", "::").replace(":22:", ":99:"), "algorithm 99, 255"),
        (PUB.replace(":ed25519:", "::").replace(":255:", f":{'9' * 5000}:"), "eddsa0"),
    ],
)
def test_algorithms_come_from_a_table(row: str, kind: str) -> None:
    [key] = parse_listing(row + FPR)
    assert key.kind == kind


@pytest.mark.parametrize("moment", ["9" * 5000, "-1", "\x1b", "٣"])
def test_a_moment_that_is_none_counts_for_nothing(moment: str) -> None:
    [key] = parse_listing(PUB.replace("1700000000", moment) + FPR)
    assert day(key.created) == "1970-01-01"


FIELD = st.text(st.characters(blacklist_characters=":\n"), max_size=8)
ROW = st.builds(
    lambda kind, fields: ":".join([kind, *fields]),
    st.sampled_from(["pub", "sub", "fpr", "uid", "grp"]),
    st.lists(FIELD | st.sampled_from([FINGERPRINT, "e", "1", "22"]), min_size=8, max_size=20),
)


@given(st.lists(ROW, max_size=8))
def test_whatever_a_listing_says_what_is_shown_commands_no_terminal(rows: list[str]) -> None:
    try:
        keys = parse_listing("".join(f"{row}\n" for row in [PUB[:-1], FPR[:-1], *rows]))
    except GpgFailed:
        return
    for key in keys:
        assert all(line.isprintable() for line in describe_key(key).split("\n"))


@given(
    st.lists(
        st.sampled_from(["Alice", "<a@example.org>", "B <A@example.org>", "x\\\\x3a", "\u00e4"])
    ),
    st.lists(st.integers(min_value=0, max_value=2000), max_size=9),
    st.sampled_from([[], [FINGERPRINT], ["a@example.org"], [FINGERPRINT, "a@example.org"]]),
)
def test_a_sieve_keeps_all_but_the_user_ids_that_nobody_asks_for(
    user_ids: list[str], cuts: list[int], names: list[str]
) -> None:
    """In whatever pieces the listing arrives."""
    rows = [UID.replace("Alice", user_id) for user_id in user_ids]
    text = (PUB + FPR + "".join(rows) + SUB).encode()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    sieve = Sieve(names)
    kept = b"".join(sieve(text[a:b]) for a, b in pairwise(places))
    assert sieve.rest == b""
    [key], [whole] = parse_listing(kept.decode()), parse_listing(text.decode())
    assert key.fingerprint == whole.fingerprint
    assert len(key.encrypting) == 1
    addresses = [name for name in names if "@" in name]
    wanted = [one.text for one in whole.identities if any(map(one.has, addresses))]
    assert key.user_ids == wanted


def test_what_is_cut_off_stays_cut_off_in_a_sieve() -> None:
    sieve = Sieve([])
    assert sieve(b"tru::1\nuid:u") == b"tru::1\n"
    assert sieve.rest == b"uid:u"


def test_a_row_without_an_end_is_refused_by_a_sieve() -> None:
    sieve = Sieve([])
    sieve(b"uid:" + b"x" * (MAX_ROW - 4))
    with pytest.raises(GpgFailed, match="row"):
        sieve(b"x")
