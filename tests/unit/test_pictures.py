"""The pictures in docs/images: each is taken by script/screenshots, shown by a page, and fetches nothing."""

from __future__ import annotations

import re
from pathlib import Path

from tests.proof.pictures import IMAGES, PICTURES
from tests.support.drawn import Terminal

ROOT = Path(__file__).resolve().parents[2]
MOST = 80_000  # bytes


def test_each_picture_is_taken_by_the_script_and_shown_with_words_for_who_cannot_see_it() -> None:
    pages = "".join(
        page.read_text("utf-8") for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    )
    assert {path.stem for path in IMAGES.iterdir()} == set(PICTURES)
    for path in IMAGES.iterdir():
        assert path.stat().st_size < MOST
        assert re.search(
            rf'<img src="(docs/)?images/{path.name}" width="\d+" alt="[^"]{{20,}}"', pages
        ), path.name


def test_a_terminal_is_drawn_as_it_looks(tmp_path: Path) -> None:
    """A word that was overwritten is gone, and a colour is one."""
    terminal = Terminal(
        ["printf", r"wrong\rright\n\033[31mred & <b>\033[0m\n"], {"PATH": "/usr/bin"}, 40
    )
    terminal.process.expect_exact("red & <b>")
    terminal.process.wait()
    assert [row.plain for row in terminal.rows()] == ["right", "red & <b>"]
    terminal.draw(tmp_path / "drawn.svg", "A title")
    terminal.close()
    drawn = (tmp_path / "drawn.svg").read_text("utf-8")
    assert "wrong" not in drawn
    assert "red&#160;&amp;&#160;&lt;b&gt;" in drawn
    assert "fill: #cf222e" in drawn, "the theme's red"


def test_no_picture_fetches_anything() -> None:
    for path in IMAGES.glob("*.svg"):
        text = path.read_text("utf-8")
        assert set(re.findall(r"https?://[^\s\"')]*", text)) == {"http://www.w3.org/2000/svg"}
        assert "<circle" not in text
        assert "<script" not in text
