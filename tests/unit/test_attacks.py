"""docs/attacks.md names tests: they exist, and each says which hole it is about."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("## What went wrong elsewhere")[2]
# The source: its first word, with each of the numbers behind it; and the tests named in its row.
ROWS = [
    (
        [f"{row[1]} {number}" for number in re.findall(r"#\d+", row[2])] or [row[1]],
        re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[3]),
    )
    for row in re.finditer(r"^\| \[?([\w+-]+)(.*?) \|.*?\|(.*)\|$", TABLE, re.MULTILINE)
]
ROWS = [(source, tests) for source, tests in ROWS if source not in (["source"], ["---"])]


def docstring(path: str, name: str) -> str:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node) or ""
    raise AssertionError(f"{path} has no {name}")


def test_the_table_is_read() -> None:
    assert len(ROWS) == 35
    assert all(tests for _, tests in ROWS)


@pytest.mark.parametrize(("source", "tests"), ROWS, ids=[" ".join(source) for source, _ in ROWS])
def test_each_advisory_has_a_test_that_names_it(
    source: list[str], tests: list[tuple[str, str]]
) -> None:
    """Each of the tests names one of the numbers, and each number is named."""
    said = [docstring(*test) for test in tests]
    assert [test for test, text in zip(tests, said, strict=True) if not named(source, text)] == []
    assert all(any(named([one], text) for text in said) for one in source)


def named(source: list[str], text: str) -> bool:
    """Tell whether a docstring says `name #1`, or `name #1 and #2`, or only a name without number."""
    text = " ".join(text.split())
    return any(
        one in text or re.search(rf"{name} (#\d+,? (and )?)*{number}\b", text)
        for one in source
        for name, _, number in [one.partition(" ")]
        if number or one in text
    )


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:tests|fuzz|script|fixtures)/[\w/.]*\w)(?:::\w+)?`", TEXT))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
