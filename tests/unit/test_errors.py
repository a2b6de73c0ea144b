"""A foreign text in a message stays one line, and as long as it may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.errors import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\nb", r"a\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x00", r"\x00"),
        ("\u202e", r"\u202e"),
        ("\x85", r"\x85"),
        ("é", "é"),
        ("%s%n", "%s%n"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(st.text())
def test_a_line_has_nothing_that_a_terminal_obeys(text: str) -> None:
    assert one_line(text).isprintable()


@given(st.text(), st.integers(10, 40))
def test_what_is_cut_is_as_long_as_it_may_be_and_says_so(text: str, most: int) -> None:
    whole, cut = one_line(text), one_line(text, most)
    assert len(cut.encode()) <= most
    if len(whole.encode()) <= most:
        assert cut == whole
    else:
        assert cut.endswith("...")
        assert whole.startswith(cut.removesuffix("..."))
