"""docs/attacks.md names tests: they exist, and each says which hole it is about."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("## What went wrong elsewhere")[2]
# The source's first word, and the tests named in its row.
ROWS = [
    (row[1], re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[2]))
    for row in re.finditer(r"^\| ([\w+-]+) .*?\|.*?\|(.*)\|$", TABLE, re.MULTILINE)
]
ROWS = [(source, tests) for source, tests in ROWS if source not in ("source", "---")]


def docstring(path: str, name: str) -> str:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node) or ""
    raise AssertionError(f"{path} has no {name}")


def test_the_table_is_read() -> None:
    assert len(ROWS) == 19
    assert all(tests for _, tests in ROWS)


@pytest.mark.parametrize(("source", "tests"), ROWS, ids=[source for source, _ in ROWS])
def test_each_advisory_has_a_test_that_names_it(source: str, tests: list[tuple[str, str]]) -> None:
    assert [test for test in tests if source not in docstring(*test)] == []


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:tests|fuzz|script|fixtures)/[\w/.]*\w)(?:::\w+)?`", TEXT))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
