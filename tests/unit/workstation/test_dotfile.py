"""A block that is put into a file of the user's, and taken out again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.cli.errors import CommandError
from trex.cli.workstation.dotfile import BEGIN, END, MARK, with_block, without_block

CONTENT = st.none() | st.binary(max_size=60).filter(lambda text: not MARK.search(text))
LINES = st.lists(st.sampled_from(["a", "", "  b", "#"]), max_size=3)


@given(CONTENT, LINES, LINES)
def test_taking_it_out_restores_every_byte(
    content: bytes | None, lines: list[str], other: list[str]
) -> None:
    changed = with_block(content, lines)
    assert without_block(changed) == content
    assert with_block(changed, lines) == changed
    assert without_block(with_block(changed, other)) == content


@given(st.binary(max_size=30), st.binary(max_size=30), LINES)
def test_what_is_written_around_it_later_stays(
    before: bytes, after: bytes, lines: list[str]
) -> None:
    block = with_block(None, lines)
    around = before + b"\n" + block + after
    if len(MARK.findall(around)) == 2:
        complete = not before or not after or before.endswith(b"\n")
        assert without_block(around) == before + (b"" if complete else b"\n") + after


@pytest.mark.parametrize("before", [b"export A=1", b"export A=1\n"])
def test_a_line_that_is_added_behind_it_is_not_joined_to_the_one_before(before: bytes) -> None:
    """The file ended without a line end, or somebody has taken out the empty line."""
    around = with_block(before, ["x"]).replace(b"\n\n", b"\n") + b"export B=2\n"
    assert without_block(around) == b"export A=1\nexport B=2\n"
    changed = with_block(around, ["y"])
    assert changed.startswith(b"export A=1\nexport B=2\n")
    assert without_block(changed) == b"export A=1\nexport B=2\n"


@pytest.mark.parametrize(
    "content",
    [
        f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n",
        f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n", f"{BEGIN}\r\n{END}\r\n",
    ],
)  # fmt: skip
def test_a_damaged_block_is_refused(content: str) -> None:
    for change in (without_block, lambda text: with_block(text, ["a"])):
        with pytest.raises(CommandError):
            change(content.encode())


def test_a_block_without_its_last_line_end_is_one() -> None:
    assert without_block(f"a\n\n{BEGIN}\nx\n{END}".encode()) == b"a\n"
