"""What a process without rights reports of a QR code, which the login draws into the prompt."""

from __future__ import annotations

from trex.errors import PageUnavailable
from trex.page.terminal import BLOCKS, drawn, modules_of

SIZES = ((40, 20), (80, 50), (120, 64))


def check(data: bytes) -> None:
    """Blocks, blanks and ends of lines within the columns and lines, or an error."""
    try:
        size, bits = modules_of(data.decode("utf-8", "replace"))
    except PageUnavailable:
        return
    assert not bits or len(bits) == size * size
    assert set(bits) <= {"0", "1"}
    for most in SIZES:
        for background in ("dark", "light"):
            try:
                text = drawn(size, bits, background, most)
            except PageUnavailable:
                continue
            assert set(text) <= {*BLOCKS.values(), "\n"}
            lines = text.split("\n")
            assert max(map(len, lines)) <= most[0]
            assert len(lines) <= most[1]
