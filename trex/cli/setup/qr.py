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
    """Return lines of half blocks, dark on light with any terminal colours."""
    out = io.StringIO()
    _code(text).print_ascii(out=out, invert=True)
    return out.getvalue().rstrip("\n")


class SvgFile:
    """An SVG file with the QR code, as a context manager: if the block fails, the file is removed.

    Only its owner may read it, and no file is overwritten. It is created and removed in the
    directory as it was opened, which may be another's: swapping that, or the file, has nothing
    removed.
    """

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._directory, self._name = os.path.split(path)

    def __enter__(self) -> Self:
        """Create the file. Raises OSError, with nothing created."""
        with ExitStack() as opened:
            self._parent = os.open(self._directory or ".", DIRECTORY)
            opened.callback(os.close, self._parent)
            descriptor = os.open(self._name, NEW, 0o600, dir_fd=self._parent)
            opened.callback(os.close, descriptor)  # open until the end: its inode is not reused
            self._made = os.fstat(descriptor)
            removal = opened.enter_context(ExitStack())
            removal.callback(self._remove)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(_svg(self._text))
            self._removal, self._opened = removal, opened.pop_all()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        """Keep the file if the block succeeded."""
        if kind is None:
            self._removal.pop_all()
        self._opened.close()

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            there = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
            if os.path.samestat(there, self._made):
                os.unlink(self._name, dir_fd=self._parent)


def _svg(text: str) -> bytes:
    from qrcode.image.svg import SvgPathImage

    out = io.BytesIO()
    _code(text).make_image(image_factory=SvgPathImage).save(out)
    return out.getvalue()


def _code(text: str) -> qrcode.QRCode:
    code = qrcode.QRCode(border=QUIET_ZONE)
    code.add_data(text)
    return code
