"""The page of recovery codes, in a browser and on paper."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from trex.cli.setup.recoverypage import page_of
from trex.recovery.codes import in_groups, random_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.browser import Browser

HOST = "a-host-with-a-name-that-is-long.example.org"


@pytest.mark.parametrize("width", [320, 700, 1200])
def test_all_codes_are_to_be_read_in_every_window(
    browser: Callable[..., Browser], place: Path, width: int
) -> None:
    codes = [random_code() for _ in range(10)]
    path = place / "codes.html"
    path.write_text(page_of(codes, "alice", HOST), encoding="utf-8")
    window = browser(width=width, height=1000)
    window.driver.get(f"file://{path}")
    assert window.driver.title == f"Recovery codes of alice at {HOST}"
    assert all(in_groups(code) in window.text() for code in codes)
    assert "Print this page, then delete the file" in window.text()
    wide = window.driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width, "nothing is cut off"
    told = [entry for entry in window.driver.get_log("browser") if path.name in entry["message"]]
    assert told == [], "no rule of its own forbids what it needs"
    path.unlink()


def test_it_is_one_sheet_of_paper(browser: Callable[..., Browser], place: Path) -> None:
    path = place / "codes.html"
    path.write_text(page_of([random_code() for _ in range(10)], "alice", HOST), encoding="utf-8")
    window = browser()
    window.driver.get(f"file://{path}")
    printed = window.driver.execute_cdp_cmd(
        "Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69}
    )
    content = base64.b64decode(printed["data"])
    assert content.count(b"/Type /Page\n") == 1
    window._command("Emulation.setEmulatedMedia", media="print")
    assert "Print this page" not in window.text()
    assert "Each code lets you in once" in window.text()
    path.unlink()


def test_a_name_is_text_whatever_is_in_it(browser: Callable[..., Browser], place: Path) -> None:
    path = place / "codes.html"
    path.write_text(page_of([random_code()], "<b>{x}</b>&amp;", "h"), encoding="utf-8")
    window = browser()
    window.driver.get(f"file://{path}")
    assert "For <b>{x}</b>&amp; at h, made on" in window.text()
    path.unlink()
