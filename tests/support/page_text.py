"""The blocks of a page, and root who types them."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}


def blocks(page: str, heading: str) -> list[str]:
    """Return the indented blocks below a heading, as they are typed."""
    text = (PROJECT / page).read_text("utf-8").partition(f"\n{heading}\n")[2]
    section = re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]


def typed(block: str, where: Path, *others: int) -> str:
    """Run a block as root, and return what it says; `others` are statuses beside 0."""
    done = subprocess.run(
        ["bash", "-e", "-c", block], capture_output=True, text=True, check=False, cwd=where,
        env=ENVIRONMENT, start_new_session=True, timeout=120,
    )  # fmt: skip
    assert done.returncode in (0, *others), (block, done.stdout, done.stderr)
    return done.stdout + done.stderr
