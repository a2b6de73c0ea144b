"""Status lines and listings as gpg 2.2.40 and gpg 2.4.7 wrote them, and what they mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.authfile import AuthRecord
from trex.diagnosis import diagnose, examine
from trex.errors import OpenPGPError
from trex.openpgp import Gpg, parse_status

STATUS = Path(__file__).resolve().parents[2] / "fixtures/status"
CASES = sorted(STATUS.glob("*/*"))


class Listed(Gpg):
    """A gpg whose listing is the fixture's."""

    def __init__(self, listing: str) -> None:
        self.listing = listing

    def list_key(self, key: str) -> str:
        return self.listing


@pytest.mark.parametrize("fixture", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_gpg_says_becomes_a_typed_error(fixture: Path) -> None:
    text = fixture.read_text(encoding="utf-8")
    expected = dict(re.findall(r"^# (\w+): (.*)$", text, flags=re.MULTILINE))
    status, _, listing = text.partition("# listing\n")
    record = AuthRecord(1, [expected["recipient"]], trust=True)
    record.sign_as = expected.get("sign_as", "")
    error = diagnose(parse_status(status.encode()), record, Listed(listing))
    assert type(error).__name__ == expected["error"]
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
def test_any_listing_is_examined(listing: str) -> None:
    assert isinstance(examine("alice@example.org", f"pub:u:{listing}"), OpenPGPError)


def test_a_key_from_the_future_points_at_the_clock() -> None:
    """A machine that boots in 1970 would else say that no key can encrypt."""
    listing = (
        "pub:-:255:22:65CEDC39199A46F9:4102444800:::-:::scESC:::::ed25519:::0:\n"
        "sub:-:255:18:802AAB47CAA2CBB5:4102444800::::::e:::::cv25519::\n"
    )
    assert "so the clock may be wrong" in str(examine("alice@example.org", listing))


def test_a_failure_code_that_is_no_number_is_only_vague() -> None:
    record = AuthRecord(1, ["alice@example.org"], trust=True)
    for code in (b"x", b"9" * 5000, "\u0661".encode()):
        error = diagnose(parse_status(b"[GNUPG:] FAILURE encrypt " + code), record, Listed(""))
        assert type(error).__name__ == "GpgFailed"
