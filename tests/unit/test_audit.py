"""One line stays one line, whatever the names in it are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.audit import _field, one_line


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


@pytest.mark.parametrize(
    ("value", "shown"),
    [("alice", "alice"), ("", '""'), ("a b", '"a b"'), ("a=b", '"a=b"'), ('a" b', '"a\' b"')],
)
def test_a_value_cannot_be_mistaken_for_two(value: str, shown: str) -> None:
    assert _field(value) == shown
