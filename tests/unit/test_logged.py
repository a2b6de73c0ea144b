"""Each message that a login can log is explained: docs/troubleshooting.md is complete.

The messages are taken from the code: what errors are made with, and the warnings of a login.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
# Whatever a login may load, and the programs that work for it.
PATHS = [
    ROOT / "pam_trex.py",
    *(path for path in sorted(ROOT.glob("trex/**/*.py"))
      if not path.is_relative_to(ROOT / "trex/cli")),
]  # fmt: skip
TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in PATHS
}
LETTERS = 8  # of a message's own: a path and the system's words have none


def errors() -> set[str]:
    """Return the names of all classes of errors: TrexError, and what inherits from it."""
    classes = [
        (node.name, {base.id for base in node.bases if isinstance(base, ast.Name)})
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    found = {"TrexError"}
    while more := {name for name, bases in classes if bases & found} - found:
        found |= more
    return found


ERRORS = errors()
# These make a message, too: of a record's line, of a filter's own kind of failure, a part of one; and
# the entry file's log.
MAKERS = {*ERRORS, "error", "failed", "timed_out", "ValueError", "_log"}


class Message(NamedTuple):
    """What is said where; its form has `.*` for each value, and begins with a word."""

    where: str
    form: str


def messages() -> Iterator[Message]:
    """Yield each text that is said by an error, or is appended to a login's warnings."""
    for where, tree in TREES.items():
        for node in ast.walk(tree):
            said: list[ast.expr] = []
            if isinstance(node, ast.FunctionDef):
                said = said_in(node)
            elif isinstance(node, ast.ClassDef) and node.name in ERRORS:  # `reason = "was revoked"`
                said = [one.value for one in node.body if isinstance(one, ast.Assign)]
            for text in said:
                yield Message(f"{where}:{text.lineno}", form_of(text))


def said_in(function: ast.FunctionDef) -> list[ast.expr]:
    """Return the texts that errors are made with in a function, and its warnings."""
    assigned = assignments(function)
    return [
        text
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and is_message(call.func)
        for argument in call.args
        for text in texts(argument, assigned)
    ]


def assignments(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def is_message(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in MAKERS
    return isinstance(called, ast.Attribute) and (
        called.attr in MAKERS
        or (called.attr == "append" and ast.unparse(called.value).endswith("warnings"))
    )


def texts(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> Iterator[ast.expr]:
    """Yield the texts in an argument, or in what its name was assigned."""
    if isinstance(node, ast.JoinedStr | ast.Constant):
        yield node
    elif isinstance(node, ast.Name):
        for value in assigned.get(node.id, []):
            yield from texts(value, {})
    elif not isinstance(node, ast.Call):
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.expr):
                yield from texts(inner, assigned)


def form_of(text: ast.expr) -> str:
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    form = "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in parts
    )
    return re.sub(r"^(\.\*|\\.|\W)+", "", form)  # the page says `...` for some of that


def has_words(form: str) -> bool:
    return sum(map(str.isalpha, form)) >= LETTERS


def quotes() -> list[str]:
    """Return what the page quotes, and the page of the record, to which it sends its readers."""
    pages = [
        (ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("troubleshooting", "auth_gpg")
    ]
    return [quote for page in pages for quote in re.findall(r"`([^`\n]+)`", page)]


QUOTES = quotes()
MESSAGES = sorted({message for message in messages() if has_words(message.form)})


def is_explained(form: str) -> bool:
    return any(re.search(form, quote) for quote in QUOTES)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.where)
def test_a_message_is_on_the_page(message: Message) -> None:
    assert is_explained(message.form)


def test_what_is_said_is_found_in_the_code() -> None:
    assert len(MESSAGES) > 120
    [function] = ast.parse(SAYS).body
    assert isinstance(function, ast.FunctionDef)
    forms = {form_of(text) for text in said_in(function)}
    said = {form for form in forms if has_words(form)}
    assert {form.replace("\\", "") for form in said} == {
        "was seen by .* at noon", "the moon is full", "no cheese is left",
    }  # fmt: skip
    assert not any(map(is_explained, said))


SAYS = """
def look(path):
    reason = "the moon is full"
    warnings.append(f"{path}: was seen by {name} at noon")
    if path:
        raise NoRecord(reason) from None
    raise ValueError(f"{path}: {error.strerror}" if error else "no cheese is left")
"""
