"""What mutation testing leaves alone is there, and all else is broken."""

from __future__ import annotations

import ast
import os
from itertools import chain

import pytest

from tests.proof.checkout import ROOT
from tests.proof.mutants import CORE, PASSED, _of_node, alone, mutants, parts, path_of, walk

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
    assert all((ROOT / path_of(name)).exists() for name in tests)


def test_a_name_that_is_gone_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"^trex/login/challenge\.py has no _gone$"):
        next(mutants("login/challenge", ("random_text", "_gone")))


def test_what_is_not_left_out_is_broken_but_for_annotations() -> None:
    tree = ast.parse(SOURCE)

    def numbers(*left_out: str) -> set[object]:
        nodes = [node for part in parts("x", tree, left_out) for node in walk(part)]
        return {node.value for node in nodes if isinstance(node, ast.Constant)}

    assert numbers() == {1, 2, 3, 4, 7, 8}
    assert numbers("B", "f") == {1, 4, 8}


def test_flags_named_arguments_and_settings_of_what_is_there_are_left_out_one_by_one() -> None:
    tree = ast.parse("def f(a):\n    a.b = g(C | D, e=1, f=2)\n    h = 3\n    a[4] = 5\n")

    def changed() -> set[str]:
        return {ast.unparse(ast.parse(mutant.text)) for mutant in chain.from_iterable(
            _of_node("x", tree, node) for node in list(walk(tree.body[0]))
        )}  # fmt: skip

    def with_line(number: int, line: str) -> str:
        lines = ast.unparse(tree).split("\n")
        return "\n".join([*lines[:number], f"    {line}", *lines[number + 1 :]])

    expected = {
        with_line(1, line)
        for line in ("pass", "a.b = g(0 | D, e=1, f=2)", "a.b = g(C | 0, e=1, f=2)", "a.b = g(C | D, f=2)",
                     "a.b = g(C | D, e=1)", "a.b = g(C | D, e=2, f=2)", "a.b = g(C | D, e=1, f=3)")
    }  # fmt: skip
    assert changed() == expected | {with_line(2, "h = 4"), with_line(3, "pass"),
                                    with_line(3, "a[5] = 5"), with_line(3, "a[4] = 6")}  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace of one's own is root's")
def test_a_mutant_reaches_no_process_but_its_own() -> None:
    """One of the supervisor's once ended every process of the machine that it was not to end."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            alone()
            seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
            os.write(sink, f"{os.getpid()} {os.getppid()} {sorted(seen)}".encode())
            os._exit(PASSED)
        finally:
            os._exit(1)
    os.close(sink)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == PASSED
    with open(source, encoding="ascii") as told:
        assert told.read() == "2 1 [1, 2]"
