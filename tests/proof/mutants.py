"""Break the security core in each small way that there is, and see whether a test notices.

    sudo python3 -m tests.proof.mutants [--only MODULE] [--workers N]

Each mutant is one change to one expression or statement of the functions in CORE, in a copy of the
checkout; the unit tests beside run there and must fail. What survives is printed, and
docs/attacks.md says of each why it may. Messages, annotations and docstrings are left alone.
"""

from __future__ import annotations

import argparse
import ast
import copy
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("trex", "tests", "fuzz", "fixtures", "pyproject.toml", "pam_trex.py")
SECONDS = 60
# The module, its functions or classes ("" for constants at the top), and the tests that know it.
CORE = {
    "challenge": (("", "random_text", "Challenge", "now"), ("test_challenge", "test_fuzz")),
    "authfile": (("", "parse_record", "_lines", "_parse_line", "_parse_recipients", "_parse_key",
                  "_is_address", "_parse_web_qr"), ("test_authfile", "test_fuzz")),
    "safefile": (("", "open_safely", "_check_file", "read_safely", "check_directories",
                  "check_writers", "_check_writers", "_is_private_group", "_has_access_list",
                  "_is_primary_for_another"), ("test_safefile",)),
    "privilege": (("find_account", "_check_name", "acting_as", "_give_back", "become",
                   "_must_change"), ("test_privilege",)),
    "openpgp": (("_is_complete", "_instructions", "_check_home", "parse_status"),
                ("test_openpgp", "test_fuzz")),
    "pam": (("PAM_CODES", "authenticate", "_check_library", "_user", "_ask", "_item"),
            ("test_pam", "test_authenticate")),
    "child": (("Child", "end_with_parent", "lost", "_exec", "_place", "own_children", "_ends",
               "write_whole"), ("test_child",)),
    "webqr": (("_confine", "_read"), ("test_confine",)),
}  # fmt: skip
OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitOr: ast.BitXor,
    ast.BitAnd: ast.BitOr, ast.Mult: ast.Add, ast.LShift: ast.RShift,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: where, what it does, and the module's text with it."""

    module: str
    line: int
    change: str
    text: str


def mutants(module: str, names: tuple[str, ...]) -> Iterator[Mutant]:
    """Return every mutant of what `names` names in a module."""
    tree = ast.parse((ROOT / f"trex/{module}.py").read_text(encoding="utf-8"))
    for part in tree.body:
        if _is_named(part, names):
            for node in list(ast.walk(part)):
                yield from _of_node(module, tree, node)


def _is_named(part: ast.stmt, names: tuple[str, ...]) -> bool:
    if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
        return part.name in names
    if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
        name = part.targets[0].id
        return name in names or ("" in names and name != "TYPE_CHECKING")
    return False


def _of_node(module: str, tree: ast.Module, node: ast.AST) -> Iterator[Mutant]:
    """Change one node in place, write the module down, and put the node back."""
    if not hasattr(node, "lineno"):
        return
    before = copy.copy(node.__dict__)
    for change in _changes(node):
        for name, value in change.items():
            setattr(node, name, value)
        after = ast.unparse(ast.fix_missing_locations(tree))
        node.__dict__.update(before)
        told = ", ".join(f"{name} {_told(before[name], v)}" for name, v in change.items())
        yield Mutant(module, node.lineno, told, after)


def _told(before: object, after: object) -> str:
    if isinstance(before, list) and isinstance(after, list):
        gone, new = ([_text(one) for one in some if one not in other]
                     for some, other in ((before, after), (after, before)))  # fmt: skip
        return f"{'; '.join(gone)} -> {'; '.join(new) or 'nothing'}"
    return f"{_text(before)} -> {_text(after)}"


def _text(value: object) -> str:
    if isinstance(value, ast.AST):
        return ast.unparse(value)[:120] or type(value).__name__
    return repr(value)


def _changes(node: ast.AST) -> Iterator[dict[str, object]]:  # noqa: C901 (a case a kind)
    """Return what may be changed at a node: attributes and their new values."""
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                ops: list[object] = list(node.ops)
                ops[number] = OPPOSITES[type(operator)]()
                yield {"ops": ops}
        case ast.BoolOp():
            yield {"op": OPPOSITES[type(node.op)]()}
            if len(node.values) > 2:
                for number in range(len(node.values)):
                    yield {"values": node.values[:number] + node.values[number + 1 :]}
        case ast.BinOp() if type(node.op) in OPPOSITES:
            yield {"op": OPPOSITES[type(node.op)]()}
        case ast.UnaryOp(op=ast.Not()):
            yield {"op": ast.UAdd(), "operand": ast.Call(ast.Name("bool"), [node.operand], [])}
        case ast.Constant(value=bool()):
            yield {"value": not node.value}
        case ast.Constant(value=int(number)):
            yield {"value": number + 1}
        case ast.Return(value=ast.AST()):
            yield {"value": ast.Constant(None)}
        case _:
            yield from _without_statements(node)


def _without_statements(node: ast.AST) -> Iterator[dict[str, object]]:
    """Leave out each statement that does something by itself."""
    for field in ("body", "orelse", "finalbody"):
        body = getattr(node, field, [])
        for number, statement in enumerate(body if isinstance(body, list) else []):
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            acts = isinstance(statement, (ast.Expr, ast.Raise, ast.Return, ast.AugAssign))
            if acts and not is_text:
                yield {field: [*body[:number], ast.Pass(), *body[number + 1 :]]}


def survives(mutant: Mutant, tests: tuple[str, ...], place: Path) -> bool:
    """Run the tests with a mutant in place; tell whether they pass."""
    path = place / f"trex/{mutant.module}.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.text, encoding="utf-8")
    try:
        return subprocess.run(
            [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-W", "error", "-p",
             "no:cacheprovider", *(f"tests/unit/{name}.py" for name in tests)],
            cwd=place, capture_output=True, check=False, timeout=SECONDS,
        ).returncode == 0  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(original, encoding="utf-8")


def main() -> int:
    """Run them all and print what survived."""
    parser = argparse.ArgumentParser(description="mutation testing of the security core")
    parser.add_argument("--only", choices=CORE, action="append")
    parser.add_argument("--workers", type=int, default=2)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trex-mutants-") as temporary:
        places: Queue[Path] = Queue()
        for number in range(wanted.workers):
            places.put(_copy(Path(temporary) / str(number)))

        def tried(job: tuple[Mutant, tuple[str, ...]]) -> tuple[Mutant, bool]:
            place = places.get()
            try:
                return job[0], survives(*job, place)
            finally:
                places.put(place)

        with ThreadPoolExecutor(wanted.workers) as pool:
            for module in wanted.only or CORE:
                names, tests = CORE[module]
                text = (ROOT / f"trex/{module}.py").read_text(encoding="utf-8")
                if not tried((Mutant(module, 0, "none", text), tests))[1]:
                    raise SystemExit(f"{module}: its tests fail by themselves")
                jobs = [(mutant, tests) for mutant in mutants(module, names)]
                left = [mutant for mutant, survived in pool.map(tried, jobs) if survived]
                sys.stdout.write(f"{module}: {len(jobs)} mutants, {len(left)} survived\n")
                for mutant in left:
                    sys.stdout.write(f"  trex/{module}.py:{mutant.line}: {mutant.change}\n")
                sys.stdout.flush()
    return 0


def _copy(place: Path) -> Path:
    place.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place / name)
    return place


if __name__ == "__main__":
    sys.exit(main())
