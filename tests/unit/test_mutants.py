"""What mutation testing leaves alone is there, and all else is broken."""

from __future__ import annotations

import ast

import pytest

from tests.proof.mutants import CORE, ROOT, mutants, parts, walk

SOURCE = """
TYPE_CHECKING = False
A = 1
B, C = 2, 3
class D:
    def e(self): return 4
@cached
def f(a: 5) -> 6: return 7
def g(): return 8
"""


@pytest.mark.parametrize("module", CORE)
def test_what_is_listed_exists(module: str) -> None:
    """A list of names once went stale, and nothing was broken any more where they had been."""
    left_out, tests = CORE[module]
    assert next(mutants(module, left_out))
    assert all((ROOT / f"tests/unit/{name}.py").exists() for name in tests)


def test_a_name_that_is_gone_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"^trex/challenge\.py has no _gone$"):
        next(mutants("challenge", ("random_text", "_gone")))


def test_what_is_not_left_out_is_broken_but_for_annotations() -> None:
    tree = ast.parse(SOURCE)

    def numbers(*left_out: str) -> set[object]:
        nodes = [node for part in parts("x", tree, left_out) for node in walk(part)]
        return {node.value for node in nodes if isinstance(node, ast.Constant)}

    assert numbers() == {1, 2, 3, 4, 7, 8}
    assert numbers("B", "f") == {1, 4, 8}
