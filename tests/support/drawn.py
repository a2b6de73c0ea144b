"""A terminal, and a picture of it: what a real program writes, as SVG."""

from __future__ import annotations

import re
from io import StringIO
from itertools import groupby
from typing import TYPE_CHECKING

import pexpect
import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Without the buttons of a window; and no picture fetches a font, or anything else, from somewhere.
FORMAT = re.sub(
    r"@font-face \{\{.*?\}\}\s*|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL
).replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")
BUTTONS = re.compile(r"<g transform=\"[^\"]*\">\s*(?:<circle[^>]*>\s*)+</g>")
THEME = TerminalTheme(
    (246, 248, 250), (36, 41, 47),
    [(36, 41, 47), (207, 34, 46), (17, 99, 41), (130, 80, 0), (9, 105, 218), (130, 80, 223),
     (27, 124, 131), (110, 119, 129)],
)  # fmt: skip
NAMES = {"default": "default", "brown": "yellow"}  # pyte's names, where rich has others
TALL = 120  # rows: nothing scrolls out of the picture


class Terminal:
    """A program at a terminal that remembers what is on its screen."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], columns: int = 80, **options: object
    ) -> None:  # fmt: skip
        self._screen = pyte.Screen(columns, TALL)
        self._stream = pyte.Stream(self._screen)
        self.process = pexpect.spawn(
            command[0], list(command[1:]), env={**environment, "TERM": "linux"}, encoding="utf-8",
            timeout=120, dimensions=(TALL, columns), **options,
        )  # fmt: skip
        self.process.logfile_read = self

    def write(self, text: str) -> None:
        """Take what the program writes: pexpect calls this."""
        self._stream.feed(text)

    def flush(self) -> None:
        """Do nothing: pexpect calls this."""

    def type(self, line: str, until: str) -> str:
        """Type a line, wait for a pattern behind it, and return what came before that."""
        self.process.sendline(line)
        self.process.expect(until)
        return str(self.process.before)

    def rows(self) -> list[Text]:
        """Return what is on the screen, down to the last row that has something."""
        shown = [self._row(number) for number in range(TALL)]
        while shown and not shown[-1].plain.strip():
            shown.pop()
        return shown

    def _row(self, number: int) -> Text:
        row = Text(no_wrap=True)
        cells = (self._screen.buffer[number][column] for column in range(self._screen.columns))
        for (colour, bold), alike in groupby(cells, lambda cell: (cell.fg, cell.bold)):
            style = Style(color=NAMES.get(colour, colour), bold=bold or None)
            row.append("".join(cell.data for cell in alike), style)
        row.rstrip()
        return row

    def draw(self, path: Path, title: str) -> None:
        """Write the screen as a picture. Its text stays text: it can be read out and searched."""
        console = Console(width=self._screen.columns, record=True, force_terminal=True,
                          color_system="standard", file=StringIO(), highlight=False)  # fmt: skip
        for row in self.rows():
            console.print(row)
        drawn = console.export_svg(
            title=title, theme=THEME, code_format=FORMAT, unique_id=path.stem
        )
        path.write_text(BUTTONS.sub("", drawn), "utf-8")

    def close(self) -> None:
        """End the program."""
        self.process.close(force=True)
