"""docs/tools.md: what it tells to type, for the tests that run it."""

from __future__ import annotations

import re
import textwrap

from tests.support.sandbox import PROJECT

PAGE = (PROJECT / "docs/tools.md").read_text(encoding="utf-8")
SECTIONS = {
    section.partition("\n")[0]: section.partition("\n")[2]
    for section in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:]
}
BLOCK = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)


def blocks(tool: str) -> list[str]:
    """Return what is shown to be typed or written under the heading of a tool."""
    return [textwrap.dedent(block).strip("\n") for block in BLOCK.findall(SECTIONS[tool])]


def line(tool: str) -> str:
    """Return the one line of a tool."""
    [shown] = blocks(tool)
    assert "\n" not in shown
    return shown


def failing() -> list[str]:
    """Return the lines of which the page says that they cannot work."""
    return re.findall(r"^\| `(.*?)` \|", SECTIONS["What cannot work"], re.MULTILINE)
