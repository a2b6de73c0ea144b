"""The corpus of fuzz/, replayed without a fuzzer: seeds, and whatever was found."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fuzz import COMPILED, TARGETS
from fuzz.build import build

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "fixtures/fuzz"
CASES = [(target, path) for target in TARGETS for path in sorted((CORPUS / target).iterdir())]


def checks(target: str) -> Callable[[bytes], None]:
    check: Callable[[bytes], None] = importlib.import_module(f"fuzz.{target}").check
    return check


@pytest.mark.parametrize(("target", "path"), CASES, ids=[f"{t}-{p.name}" for t, p in CASES])
def test_what_is_in_the_corpus(target: str, path: Path) -> None:
    checks(target)(path.read_bytes())


@pytest.mark.parametrize("target", COMPILED)
def test_what_is_in_the_corpus_of_a_target_in_c(target: str, tmp_path: Path) -> None:
    """With AddressSanitizer and UndefinedBehaviorSanitizer, which end the program."""
    program = tmp_path / target
    build(target, program)
    seeds = sorted((CORPUS / target).iterdir())
    done = subprocess.run([program, *seeds], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("Executed ") == len(seeds)


def test_every_target_has_seeds_and_every_module_is_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {*TARGETS, *COMPILED}
    modules = {path.stem for path in (ROOT / "fuzz").glob("*.py")} - {"__init__", "run", "build"}
    assert modules == set(TARGETS)
    assert {path.stem for path in (ROOT / "fuzz").glob("*.c")} == set(COMPILED)
