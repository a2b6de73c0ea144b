"""A room of the house imports from those before it in the table of docs/architecture.md, and no other."""

from __future__ import annotations

import ast
import re
import tomllib
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from trex.cli.main import COMMANDS
from trex.login.options import METHODS
from trex.sms.send import GATEWAYS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
# The table of rooms, from the ground up: the rooms of a row, and what they import.
ROWS = [
    (re.findall(r"`trex\.([\w.]+)`", row[1]), set(re.findall(r"`([\w.]+)`", row[2])))
    for row in re.finditer(
        r"^\| (`trex\.[\w.]+`(?:, `trex\.[\w.]+`)*) \| [^|]+ \|([^|]*)\|$", PAGE, re.MULTILINE
    )
]
ROOMS = [name for names, _ in ROWS for name in names]


def module_of(path: Path, root: Path) -> str:
    """Return a module's name without `trex.`; the package itself is ""."""
    words = path.relative_to(root).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


def imports_of(root: Path) -> dict[str, set[str]]:
    """Return what each module imports of the package, inside functions and for annotations too."""
    paths = {module_of(path, root): path for path in root.rglob("*.py")}
    return {
        name: set(named_in(ast.parse(path.read_text(encoding="utf-8")), set(paths))) - {name, ""}
        for name, path in paths.items()
    }


def named_in(tree: ast.Module, modules: set[str]) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [
                name if name.removeprefix("trex.") in modules else str(node.module)
                for name in inner
            ]
    return [name.removeprefix("trex.") for name in found if name.startswith("trex.")]


def room_of(module: str, rooms: list[str]) -> str:
    """Return the room a module lies in: the longest name that it begins with."""
    own = [room for room in rooms if f"{module}.".startswith(f"{room}.")]
    return max(own, key=len, default="")


def upward(imports: dict[str, set[str]], rooms: list[str]) -> list[str]:
    """Return `module -> module` for each import of a room above one's own; rooms go upwards."""
    return sorted(
        f"{module} -> {other}"
        for module, others in imports.items()
        for other in others
        if rooms.index(room_of(other, rooms)) > rooms.index(room_of(module, rooms))
    )


def circle_in(imports: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle, [] if none do."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


IMPORTS = imports_of(ROOT / "trex")


def test_every_module_has_a_room_and_every_room_modules() -> None:
    assert [module for module in IMPORTS if module and not room_of(module, ROOMS)] == []
    assert {room_of(module, ROOMS) for module in IMPORTS if module} == set(ROOMS)
    assert len(ROOMS) == len(set(ROOMS))


def test_nothing_imports_a_room_above_its_own() -> None:
    assert upward(IMPORTS, ROOMS) == []


def test_nothing_imports_the_command_but_the_command() -> None:
    assert ROOMS.index("cli") > max(n for n, room in enumerate(ROOMS) if not is_of_cli(room))
    below = {module: others for module, others in IMPORTS.items() if not is_of_cli(module)}
    assert [module for module, others in below.items() if any(map(is_of_cli, others))] == []


def is_of_cli(name: str) -> bool:
    """`trex.client` is the command's door for programs."""
    return name.partition(".")[0] in ("cli", "client")


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle_in(IMPORTS) == []


@pytest.mark.parametrize(("names", "told"), ROWS, ids=[" ".join(names) for names, _ in ROWS])
def test_the_table_says_what_a_room_imports(names: list[str], told: set[str]) -> None:
    found = {
        room_of(other, ROOMS)
        for module, others in IMPORTS.items()
        if room_of(module, ROOMS) in names
        for other in others
    }
    assert told == found - set(names)


def test_packages_are_empty() -> None:
    """They are made by hand where a login starts: what they held would not run there."""
    for path in (ROOT / "trex").rglob("*/__init__.py"):
        [docstring] = ast.parse(path.read_text(encoding="utf-8")).body
        assert isinstance(docstring, ast.Expr)


def test_typing_is_imported_only_by_what_no_login_waits_for() -> None:
    """The others have `TYPE_CHECKING = False` (trex.errors); so do the client's modules.

    `trex ssh` starts at each login, too. The rest of the command has no need for that.
    """
    texts = {
        module_of(path, ROOT / "trex"): path.read_text("utf-8")
        for path in (ROOT / "trex").rglob("*.py")
    }
    usual = {name for name, text in texts.items() if "import TYPE_CHECKING" in text}
    saving = {name for name, text in texts.items() if "\nTYPE_CHECKING = False\n" in text}
    late = {"page.process.document", "page.process.server"}  # loaded while the prompt is open
    assert {name for name in usual if not is_of_cli(name)} - late == {
        name for name in usual if name.startswith("sms.gateways.")
    }
    early = ("cli.client.", "cli.tell")
    patient = {name for name in saving if is_of_cli(name) and not name.startswith(early)}
    assert not patient | {name for name in saving if name.startswith("sms.gateways.")}


def test_no_room_that_a_login_waits_for_imports_what_is_slow() -> None:
    """Not at a module's top: docs/architecture.md has the milliseconds (the hot path)."""
    waited_for = {"errors", "system", "login", "page", "recovery", "openpgp", "totp"}
    slow = {"typing", "dataclasses", "enum", "subprocess", "logging", "json", "hashlib", "secrets",
            "hmac", "socket", "ctypes", "ssl", "tempfile", "shutil", "urllib", "datetime"}  # fmt: skip
    found = {
        f"{module} -> {name}"
        for path in (ROOT / "trex").rglob("*.py")
        for module in [module_of(path, ROOT / "trex")]
        if room_of(module, ROOMS) in waited_for
        for name in at_the_top(ast.parse(path.read_text("utf-8")))
        if name.partition(".")[0] in slow
    }
    assert found == set()
    assert at_the_top(ast.parse("import json\nif x:\n    import re\nfrom a.b import c")) == [
        "json", "a.b",
    ]  # fmt: skip


def at_the_top(tree: ast.Module) -> list[str]:
    """Return what a module imports as soon as it is imported."""
    found = [
        [alias.name for alias in node.names] for node in tree.body if isinstance(node, ast.Import)
    ]
    found += [[str(node.module)] for node in tree.body if isinstance(node, ast.ImportFrom)]
    return [name for names in found for name in names]


def test_whoever_starts_a_login_makes_its_packages() -> None:
    rooms = {room.partition(".")[0] for room in ROOMS} - {"cli", "client", "errors"}
    starting = [ROOT / "pam_trex.py", *(ROOT / "trex/login").glob("helper.py")]
    for path in starting:
        text = path.read_text(encoding="utf-8")
        made = re.findall(r'"trex\.(\w+)"', text.partition("PACKAGES = (")[2].partition(")")[0])
        assert set(made) == rooms, path


def test_whoever_installs_with_pip_gets_every_package_and_program() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = [path.parent.relative_to(ROOT) for path in (ROOT / "trex").rglob("__init__.py")]
    assert sorted(table["tool"]["setuptools"]["packages"]) == sorted(
        ".".join(folder.parts) for folder in folders
    )
    for module, _, function in (
        said.partition(":") for said in table["project"]["scripts"].values()
    ):
        assert callable(getattr(import_module(module), function))


def test_what_is_loaded_by_its_name_is_there() -> None:
    names = [
        *(f"trex.{name}.method" for name in METHODS),
        *(f"trex.sms.gateways.{name}" for name in GATEWAYS.values()),
        *(f"trex.cli.{name.partition(':')[0]}" for name in COMMANDS.values()),
    ]
    assert [name for name in names if find_spec(name) is None] == []


def test_every_program_that_is_started_by_its_path_is_there() -> None:
    started = named_in_code(r'"(\w[\w/]*/\w+\.py)"')
    assert "system/launch.py" in started
    assert [name for name in sorted(started) if not (ROOT / "trex" / name).exists()] == []


def test_every_program_that_is_started_by_its_name_has_a_main() -> None:
    started = named_in_code(r'"(trex(?:\.\w+){2,})"')
    assert len(started) > 4
    assert [name for name in started if not callable(import_module(name).main)] == []


def named_in_code(pattern: str) -> set[str]:
    """Return what `pattern` finds in the package."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "trex").rglob("*.py")]
    return {found for text in texts for found in re.findall(pattern, text)}


def test_the_page_lists_every_module_and_no_other() -> None:
    table = PAGE.partition("\n| module | what it is for |\n")[2].partition("\n\n")[0]
    rows = [line.split(" | ")[0] for line in table.split("\n")]
    listed = [name for row in rows for name in re.findall(r"`trex\.([\w.]+)`", row)]
    packages = {module_of(path, ROOT / "trex") for path in (ROOT / "trex").rglob("__init__.py")}
    modules = {name for name in IMPORTS if name not in packages and not name.endswith("__main__")}
    assert set(listed) == modules
    assert len(listed) == len(set(listed))


# What several modules define on purpose, because somebody asks any of them for it by that name.
SHARED = {
    "command": "a command's function",
    "main": "a program's",
    "prepare": "a method's, for the story",
    "basis": "the same, for a grace period",
    "send": "a gateway's, and the program's that loads it",
    "reach": "a gateway's, for the doctor",
    "changes": "a part of `trex setup`: what it writes",
    "undoing": "the same: what --undo writes",
    "fingerprint": "of an OpenPGP key, and of a host key",
    "Refused": "trex.client's is its own, so that programs depend on nothing else",
}


def test_no_name_means_two_things() -> None:
    """A reader who has met a public name in one room knows it in the next."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "trex").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(module_of(path, ROOT / "trex"))
    twice = {name: modules for name, modules in found.items() if len(modules) > 1}
    assert {name: m for name, m in twice.items() if name not in SHARED} == {}
    assert SHARED.keys() == twice.keys(), "one of these has gone"


def test_a_circle_and_an_import_upwards_are_seen(tmp_path: Path) -> None:
    for name, text in {
        "low/a.py": "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from trex.high import b\n",
        "high/b.py": "def f():\n    import trex.low.c\n",
        "low/c.py": "from trex.low.a import x\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    imports = imports_of(tmp_path)
    assert upward(imports, ["low", "high"]) == ["low.a -> high.b"]
    assert set(circle_in(imports)) == {"low.a", "high.b", "low.c"}
    assert circle_in({**imports, "high.b": set()}) == []
