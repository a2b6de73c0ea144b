"""QR codes in a terminal, and as SVG."""

from __future__ import annotations

import io

import qrcode

QUIET_ZONE = 4  # modules (ISO/IEC 18004)


def in_terminal(text: str) -> str:
    """Return lines of half blocks, dark on light with any terminal colours."""
    out = io.StringIO()
    _code(text).print_ascii(out=out, invert=True)
    return out.getvalue().rstrip("\n")


def as_svg(text: str) -> bytes:
    """Return an SVG document with the QR code."""
    from qrcode.image.svg import SvgPathImage

    out = io.BytesIO()
    _code(text).make_image(image_factory=SvgPathImage).save(out)
    return out.getvalue()


def _code(text: str) -> qrcode.QRCode:
    code = qrcode.QRCode(border=QUIET_ZONE)
    code.add_data(text)
    return code
