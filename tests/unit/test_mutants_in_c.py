"""Every function in C is broken, and what is listed for it is there."""

from __future__ import annotations

import pytest

from tests.proof.changes_in_c import SOURCES, Source
from tests.proof.checkout import ROOT
from tests.proof.mutants_in_c import functions, mutants

TEXTS = {source.path: (ROOT / source.path).read_text() for source in SOURCES}
DOOR, CONFINER = SOURCES


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_every_function_is_broken_and_its_tests_exist(source: Source) -> None:
    text = TEXTS[source.path]
    found = list(mutants(source, text))
    assert {mutant.function for mutant in found} == set(source.tests) == set(functions(text))
    assert all(
        (ROOT / test.partition("::")[0]).exists()
        for tests in source.tests.values()
        for test in tests
    )
    assert len({mutant.text for mutant in found}) > len(found) * 0.9
    assert text not in {mutant.text for mutant in found}


@pytest.mark.parametrize(
    ("old", "new"), [("SOCK_CLOEXEC", "SOCK_CLOFORK"), ("await(", "wait_for(")]
)
def test_what_is_listed_and_gone_is_an_error(old: str, new: str) -> None:
    with pytest.raises(LookupError):
        list(mutants(DOOR, TEXTS[DOOR.path].replace(old, new)))


def changes(source: Source, function: str) -> set[str]:
    found = mutants(source, TEXTS[source.path])
    return {" ".join(one.change.split()) for one in found if one.function == function}


def test_checks_lose_each_part_and_calls_are_left_out() -> None:
    found = changes(DOOR, "carry")
    assert "length < 1 || length > MAX_FRAME -> 0" in found
    assert "length < 1 -> 0" in found
    assert "door->frame[length] = 0 -> nothing" in found


def test_tables_lose_each_system_call() -> None:
    found = changes(CONFINER, "rules_for_all")
    assert {f"__NR_{name}, -> nothing" for name in ("acct", "io_uring_setup", "vhangup")} <= found
