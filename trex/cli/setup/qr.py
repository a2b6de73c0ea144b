"""QR codes in a terminal, and as SVG."""

from __future__ import annotations

import io
import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import qrcode

from trex.system.rewriting import DIRECTORY, NEW

if TYPE_CHECKING:
    from typing import Self

QUIET_ZONE = 4  # modules (ISO/IEC 18004)


def in_terminal(text: str) -> str:
    """Return lines of half blocks, dark on light whatever the terminal's colours are."""
    out = io.StringIO()
    _code(text).print_ascii(out=out, invert=True)
    return out.getvalue().rstrip("\n")


class SvgFile:
    """An SVG document of the code, for `with`: one that fails takes the file away again.

    Only its owner may read it, and nothing is overwritten. It is made and removed in the directory
    as it was opened, which may be another's: who swaps that, or the file, has nothing removed.
    """

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._directory, self._name = os.path.split(path)

    def __enter__(self) -> Self:
        """Make the file. Raises OSError, with nothing made."""
        with ExitStack() as opened:
            self._place = os.open(self._directory or ".", DIRECTORY)
            opened.callback(os.close, self._place)
            descriptor = os.open(self._name, NEW, 0o600, dir_fd=self._place)
            opened.callback(os.close, descriptor)  # until the end: nobody else gets its inode
            self._made = os.fstat(descriptor)
            removal = opened.enter_context(ExitStack())
            removal.callback(self._remove)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(_svg(self._text))
            self._removal, self._opened = removal, opened.pop_all()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        """Keep the file if the block came to its end."""
        if kind is None:
            self._removal.pop_all()
        self._opened.close()

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            there = os.stat(self._name, dir_fd=self._place, follow_symlinks=False)
            if os.path.samestat(there, self._made):
                os.unlink(self._name, dir_fd=self._place)


def _svg(text: str) -> bytes:
    from qrcode.image.svg import SvgPathImage

    out = io.BytesIO()
    _code(text).make_image(image_factory=SvgPathImage).save(out)
    return out.getvalue()


def _code(text: str) -> qrcode.QRCode:
    code = qrcode.QRCode(border=QUIET_ZONE)
    code.add_data(text)
    return code
