"""The message as a QR code (ISO/IEC 18004), drawn by the library `qrcode`."""

import qrcode
from qrcode import constants
from qrcode.exceptions import DataOverflowError

# The lowest, 7 percent: a screen is neither torn nor dirty, and fewer, larger modules can be
# scanned from further away. docs/performance.md has the measurements.
LEVEL = constants.ERROR_CORRECT_L
QUIET_ZONE = 4  # modules, as the standard requires
RUN = 20  # characters from which on another mode takes fewer bits, its own header included


def draw(message: str) -> bytes:
    """Return an SVG document, or b"" if the message does not fit into the largest code."""
    modules = encode(message)
    return _svg(modules).encode("ascii") if modules else b""


def encode(
    message: str, level: int = LEVEL, *, border: int = QUIET_ZONE, shortest: bool = False
) -> list[list[bool]]:
    """Return the code with its quiet zone, True for a dark module, [] if none is large enough.

    `shortest` has capitals and digits take less room than others, where many of them follow each
    other, as in the lines around a message.
    """
    code = qrcode.QRCode(error_correction=level, border=border)
    code.add_data(message.encode("ascii"), optimize=RUN if shortest else 0)
    try:
        code.make()
    except (DataOverflowError, ValueError):  # ValueError: version 41 (qrcode 7.4)
        return []
    return code.get_matrix()  # type: ignore[no-any-return]


def _svg(modules: list[list[bool]]) -> str:
    """Return one path of horizontal strokes, which is sharp at any size."""
    size = len(modules)
    strokes = "".join(
        f"M{start} {y}h{length}v1h-{length}z"
        for y, row in enumerate(modules)
        for start, length in _runs(row)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" role="img"'
        ' aria-label="QR code with the encrypted message" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{size}v{size}H0z"/><path fill="#000" d="{strokes}"/></svg>'
    )


def _runs(row: list[bool]) -> list[tuple[int, int]]:
    """Return start and length of each run of dark modules."""
    runs: list[tuple[int, int]] = []
    for x, dark in enumerate(row):
        if dark and runs and sum(runs[-1]) == x:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        elif dark:
            runs.append((x, 1))
    return runs
