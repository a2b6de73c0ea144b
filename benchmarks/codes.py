"""Measure which error correction of a QR code is read best, from which screen and how blurred.

    /usr/bin/python3 -m venv --system-site-packages /tmp/readers
    /tmp/readers/bin/pip install zxing-cpp opencv-python-headless
    /tmp/readers/bin/python -m benchmarks.codes [--rounds 10] [--write]

Nothing needs root. It takes python3-qrcode, python3-pil, and those readers that are there:
python3-zbar, zxing-cpp, OpenCV (Debian's is built without a decoder). The same seeds give the same
pictures. A message has the length of a real one; its letters are random, as those of base64 are.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import itertools
import random
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from qrcode import constants

from benchmarks.camera import photograph, show
from benchmarks.report import Report
from trex.page.process.drawing import QUIET_ZONE, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    Modules = list[list[bool]]
    Reader = Callable[[Image], str]

NAMES = {
    constants.ERROR_CORRECT_H: "H",
    constants.ERROR_CORRECT_Q: "Q",
    constants.ERROR_CORRECT_M: "M",
    constants.ERROR_CORRECT_L: "L",
}
MESSAGES = {"cv25519": 385, "rsa4096": 970}  # characters for one key, as gpg 2.2 makes it
# Pixels from edge to edge of the code, quiet zone included, as trex/page/process/page.css has it.
SCREENS = {"laptop": 490, "phone": 592}  # 1366 by 514; 320 by 480 with two pixels for one
DISTANCES = (300, 400, 500)  # pixels of the camera for the same, in a frame of 720
BLURS = (0.0, 1.0, 2.0)  # sigma, in the camera's pixels: sharp, slightly blurred, blurred


def main() -> int:
    """Measure with every reader that is there; 1 if there is none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    asked = parser.parse_args()
    found = readers()
    report = Report()
    for kind, length in MESSAGES.items():
        for lamp in (False, True):
            title = f"Photographs read, in per cent: {kind}, {length} characters"
            title += ", a lamp mirrored in the screen" if lamp else ""
            codes = {level: _codes(length, level, asked.rounds) for level in NAMES}
            head = [f"{NAMES[level]}, {_modules(codes[level])} modules" for level in NAMES]
            rows = []
            for screen, pixels in SCREENS.items():
                read = [_shares(codes[level], pixels, found, lamp=lamp) for level in NAMES]
                rows += [[screen, name, *(shares[name] for shares in read)] for name in found]
            report.table(title, ["screen", "reader", *head], rows)
    if asked.write:
        report.write("codes")
    return 0 if found else 1


def _codes(length: int, level: int, rounds: int) -> list[tuple[str, Modules]]:
    messages = [message_of(length, seed) for seed in range(rounds)]
    return [(message, encode(message, level)) for message in messages]


def _modules(codes: list[tuple[str, Modules]]) -> int:
    return len(codes[0][1]) - 2 * QUIET_ZONE


def _shares(codes: list[tuple[str, Modules]], pixels: int, found: dict[str, Reader], *,
            lamp: bool) -> dict[str, str]:  # fmt: skip
    """Return how many photographs each reader reads: sharp, slightly blurred, blurred."""
    read = {name: dict.fromkeys(BLURS, 0) for name in found}
    for number, (message, modules) in enumerate(codes):
        shown = show(modules, pixels)
        for distance, blur in itertools.product(DISTANCES, BLURS):
            photo = photograph(shown, distance, blur, 1000 * number + distance, lamp=lamp)
            for name, reader in found.items():
                read[name][blur] += reader(photo).strip() == message
    total = len(codes) * len(DISTANCES)
    return {
        name: ", ".join(f"{100 * count / total:.0f}" for count in counts.values())
        for name, counts in read.items()
    }


def message_of(length: int, seed: int) -> str:
    """Return something that looks like an armored message of `length` characters."""
    letters = random.Random(seed).randbytes(length)  # noqa: S311 (no secret)
    text = base64.b64encode(letters).decode()
    frame = "-----BEGIN PGP MESSAGE-----\n\n{}\n=CRC4\n-----END PGP MESSAGE-----"
    lines = [text[at : at + 64] for at in range(0, length, 64)]
    room = length - len(frame) + 2
    return frame.format("\n".join(lines)[:room])


def readers() -> dict[str, Reader]:
    """Return the readers that are installed, by name and version."""
    found: dict[str, Reader] = {}
    for make in (_zbar, _zxing, _opencv):
        try:
            name, reader = make()
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        found[name] = reader
    return found


def _zbar() -> tuple[str, Reader]:
    zbar: Any = importlib.import_module("zbar")

    def read(picture: Image) -> str:
        image = zbar.Image(*picture.size, "Y800", picture.tobytes())
        zbar.ImageScanner().scan(image)
        return next((symbol.data for symbol in image), "")

    return f"zbar {'.'.join(map(str, zbar.version()))}", read


def _zxing() -> tuple[str, Reader]:
    zxing: Any = importlib.import_module("zxingcpp")

    def read(picture: Image) -> str:
        return next((code.text for code in zxing.read_barcodes(picture)), "")

    return f"zxing-cpp {version('zxing-cpp')}", read


def _opencv() -> tuple[str, Reader]:
    cv2: Any = importlib.import_module("cv2")
    numpy: Any = importlib.import_module("numpy")

    def read(picture: Image) -> str:
        try:
            text, _, _ = cv2.QRCodeDetector().detectAndDecode(numpy.asarray(picture))
        except (cv2.error, UnicodeDecodeError):  # of some pictures it makes neither
            return ""
        return str(text)

    return f"OpenCV {cv2.__version__}", read


if __name__ == "__main__":
    sys.exit(main())
