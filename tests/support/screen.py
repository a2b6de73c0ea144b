"""A terminal on a screen, and a phone that reads QR codes from it."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import zbar
import zxingcpp
from PIL import Image, ImageFilter, ImageGrab

from tests.support.servers import end

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 90  # seconds until a code is on the screen
BLUR = 2  # pixels
COLOURS = {"dark": ("black", "white"), "light": ("white", "black")}  # background, letters


class Screen:
    """A virtual screen on loopback: a socket would be visible to the whole machine."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-nolisten", "unix", "-listen", "tcp", "-ac",
             "-noreset",  # else it begins anew, deaf to others, when a picture has been taken
             "-r",  # no key repeats itself while xdotool waits for the processor
             "-nolock"],  # /tmp is every worker's, and a process id there may be another's here
            pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as told:
            self.name = f"127.0.0.1:{told.readline().strip()}"
        self._terminals: list[subprocess.Popen[bytes]] = []

    def run(self, background: str, *command: str, home: str, size: str = "80x50") -> None:
        """Run a command in an xterm with a locale of UTF-8."""
        paper, ink = COLOURS[background]
        self._terminals.append(subprocess.Popen(
            ["xterm", "-fa", "DejaVu Sans Mono", "-fs", "8", "-geometry", size, "-bg", paper,
             "-fg", ink, "+sb", "-e", *command],
            env={"PATH": "/usr/bin:/bin", "DISPLAY": self.name, "LC_ALL": "C.UTF-8", "HOME": home},
        ))  # fmt: skip

    def type(self, text: str) -> None:
        """Type a line on its keyboard, in the terminal at the upper left."""
        for word in (["mousemove", "9", "9"], ["type", text], ["key", "Return"]):
            subprocess.run(["xdotool", *word], check=True, env={"DISPLAY": self.name})

    def scan(self, read: Callable[[Image.Image], str]) -> str:
        """Wait for a code on the screen, and return its text."""
        deadline = time.monotonic() + PATIENCE
        while not (text := read(self.picture())):
            assert time.monotonic() < deadline, "no code can be read from the screen"
            time.sleep(0.1)
        return text

    def picture(self) -> Image.Image:
        """Return what is on the screen now, as a camera sees it: no gap is as thin as a pixel.

        With some fonts xterm leaves such gaps between lines.
        """
        return (
            ImageGrab.grab(xdisplay=self.name).convert("L").filter(ImageFilter.GaussianBlur(BLUR))
        )

    def close(self) -> None:
        """End the terminals and the server."""
        for terminal in self._terminals:
            end(terminal)
        end(self._server)


def by_zbar(picture: Image.Image, *, inverted: bool = False) -> str:
    """Return the text of the code in a picture, "" for none; light on dark only if asked to."""
    image = zbar.Image(*picture.size, "Y800", picture.tobytes())
    scanner = zbar.ImageScanner()
    if inverted:
        scanner.parse_config("test-inverted=1")
    scanner.scan(image)
    return "".join(symbol.data for symbol in image)


def by_zxing(picture: Image.Image) -> str:
    """Return the text of the code in a picture, "" for none."""
    found = zxingcpp.read_barcodes(picture)
    return found[0].text if found else ""


def as_picture(drawing: str, *, is_dark: bool) -> Image.Image:
    """Return half blocks as a terminal shows them."""
    halves = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}
    lines = drawing.splitlines()
    width = max(map(len, lines)) + 8  # a terminal is wider, and shows its background there
    ink, paper = (255, 0) if is_dark else (0, 255)
    picture = Image.new("L", (width, 2 * len(lines)))
    picture.putdata([
        ink if halves[block][half] else paper
        for line in lines for half in (0, 1) for block in line.ljust(width)
    ])  # fmt: skip
    return picture.resize((4 * width, 8 * len(lines)), Image.Resampling.NEAREST)
