"""Debian's Chromium, driven by Selenium."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def browser(place: Path) -> Iterator[Callable[..., Browser]]:
    """Open browsers, and close them after the test."""
    opened: list[Browser] = []
    before = sandbox.stray_files()

    def open_one(**options: object) -> Browser:
        profile = Path(mkdtemp(prefix="browser-", dir=place))
        opened.append(Browser(profile, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
    assert sandbox.stray_files() <= before
