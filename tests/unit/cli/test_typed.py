"""What a message has somebody type is one word for each name and path, whatever is in these."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trex.cli.completing import beginning

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
# A program of the system's, with what it is told before the value.
TYPED = re.compile(
    r"(?:^|[;&|(] ?|-- |: )(?:rm|ls|mv|install|mkdir|chown|chmod|runuser|gpasswd|usermod|userdel|chage|passwd|faillock|echo|tee|kill|cp|gpg) [^#]*$"
)
NAMED = re.compile(r"(^|[._(])(name|path|user|own|directory|public|private)\b")
SPELLED = re.compile(r"trex \w+ [^#]*$|< $")
# Paths of ours, what is read and not typed, and properties that have quoted a name already.
AS_IT_STANDS = {
    "arrival.py": {"self.name"}, "barred.py": {"first.name", "name"}, "module.py": {"rule.path"},
    "readmission.py": {"refused.name"}, "sshdfile.py": {"path"}, "sshkeys.py": {"login.name"},
}  # fmt: skip


def quoted_in(function: ast.AST) -> set[str]:
    """Return the names that the function has given to what shlex.quote returns."""
    names: set[str] = set()
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            names |= {ast.unparse(one) for one, value in pairs if "quote(" in ast.unparse(value)}
    return names


def names_and_paths() -> Iterator[tuple[str, bool]]:
    """Yield each name and path in a command that is shown, and whether it is quoted."""
    for path in sorted(ROOT.glob("trex/cli/**/*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            quoted = quoted_in(function) | AS_IT_STANDS.get(path.name, set())
            for before, what in shown_by(function):
                if NAMED.search(what) and (TYPED.search(before) or SPELLED.search(before)):
                    is_quoted = what.startswith(("shlex.quote(", "as_user(")) or what in quoted
                    yield f"{path.name}: {before}{{{what}}}", is_quoted


def shown_by(function: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each value that is put into a text, after what stands before it there."""
    for text in ast.walk(function):
        before = ""
        for part in text.values if isinstance(text, ast.JoinedStr) else []:
            if isinstance(part, ast.FormattedValue):
                yield before, ast.unparse(part.value)
                before += "X"
            elif isinstance(part, ast.Constant):
                before += str(part.value)


def test_names_and_paths_in_commands_are_quoted() -> None:
    found = list(names_and_paths())
    assert len(found) > 15
    assert [where for where, is_quoted in found if not is_quoted] == []


@pytest.mark.parametrize(
    ("shell", "shown"),
    [("bash", ["CORP\\\\bert", "alice", "bert@EXAMPLE.ORG"]),
     ("zsh", ["$(id)", "CORP\\bert", "a b", "alice", "bert@EXAMPLE.ORG", "x*"])],
)  # fmt: skip
def test_a_completed_word_is_one_for_the_shell(
    shell: str, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """bash puts it into the command line as it stands; zsh and fish quote it themselves."""
    monkeypatch.setenv("_TREX_COMPLETE", f"{shell}_complete")
    names = ["alice", "CORP\\bert", "bert@EXAMPLE.ORG", "$(id)", "a b", "x*"]
    assert beginning(names, "") == shown
