"""QR codes in a terminal, and as SVG."""

from __future__ import annotations

import io
import os

import qrcode

QUIET_ZONE = 4  # modules (ISO/IEC 18004)


def in_terminal(text: str) -> str:
    """Return lines of half blocks, dark on light whatever the terminal's colours are."""
    out = io.StringIO()
    _code(text).print_ascii(out=out, invert=True)
    return out.getvalue().rstrip("\n")


def write_svg(text: str, path: str) -> None:
    """Write an SVG document that only its owner may read; nothing is overwritten."""
    from qrcode.image.svg import SvgPathImage

    out = io.BytesIO()
    _code(text).make_image(image_factory=SvgPathImage).save(out)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(out.getvalue())


def _code(text: str) -> qrcode.QRCode:
    code = qrcode.QRCode(border=QUIET_ZONE)
    code.add_data(text)
    return code
