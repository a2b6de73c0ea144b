"""Every function in C is broken, and what is listed for it is there."""

from __future__ import annotations

import pytest

from tests.proof.checkout import ROOT
from tests.proof.mutants_in_c import SOURCE, TESTS, functions, mutants

TEXT = (ROOT / SOURCE).read_text(encoding="utf-8")


def test_every_function_is_broken_and_its_tests_exist() -> None:
    found = list(mutants(TEXT))
    assert {mutant.function for mutant in found} == set(TESTS) == set(functions(TEXT))
    assert all(
        (ROOT / test.partition("::")[0]).exists() for tests in TESTS.values() for test in tests
    )
    assert len({mutant.text for mutant in found}) > len(found) * 0.9
    assert TEXT not in {mutant.text for mutant in found}


@pytest.mark.parametrize(
    ("old", "new"), [("SOCK_CLOEXEC", "SOCK_CLOFORK"), ("await(", "wait_for(")]
)
def test_what_is_listed_and_gone_is_an_error(old: str, new: str) -> None:
    with pytest.raises(LookupError):
        list(mutants(TEXT.replace(old, new)))


def test_checks_lose_each_part_and_calls_are_left_out() -> None:
    changes = {mutant.change for mutant in mutants(TEXT) if mutant.function == "carry"}
    assert "length < 1 || length > MAX_FRAME -> 0" in changes
    assert "length < 1 -> 0" in {change.replace("  ", " ").strip() for change in changes}
    assert "door->frame[length] = 0 -> nothing" in changes
