"""docs/operations.md, or another page, as a reader types it: the blocks of one section."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def blocks_of(section: str, page: str = "docs/operations.md") -> list[str]:
    """Return the indented blocks of a section, without their indent."""
    text = (ROOT / page).read_text(encoding="utf-8")
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", body, re.MULTILINE)
    return [re.sub(r"^    ", "", block.lstrip("\n"), flags=re.MULTILINE) for block in found]


def commands_of(section: str) -> list[str]:
    """Return the lines of those blocks that are typed, each a command."""
    typed = ("sudo ", "journalctl ", "trex ")
    blocks = [block for block in blocks_of(section) if block.startswith(typed)]
    lines = [line for block in blocks for line in block.splitlines() if line]
    assert all(line.startswith(typed) for line in lines), lines
    return lines
