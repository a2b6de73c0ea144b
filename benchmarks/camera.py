"""A code on a screen, and what a phone's camera sees of it."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

FRAME = 720  # pixels, square: what a scanner looks at of a frame of 1280 by 720
FINE = 4  # a pixel of the screen is so many by so many, for the camera to take the mean of
LAMP = 0.04  # of the code's area
BLACK, WHITE, NOISE = 30, 220, 24  # of the camera's 256 levels; the noise is uniform, so wide


def show(modules: list[list[bool]], pixels: int) -> Image.Image:
    """Return a code as a screen shows it, `pixels` from edge to edge, with sharp edges."""
    levels = bytes(0 if dark else 255 for row in modules for dark in row)
    small = Image.frombytes("L", (len(modules),) * 2, levels)
    return small.resize((pixels, pixels), Image.Resampling.NEAREST)


def photograph(screen: Image.Image, pixels: int, blur: float, seed: int, *,
               lamp: bool = False) -> Image.Image:  # fmt: skip
    """Return a code as `pixels` of the camera see it: turned, leaning, unevenly lit, noisy.

    `blur` is a Gaussian's sigma, in the camera's pixels.
    """
    chance = random.Random(seed)  # noqa: S311 (a picture, no secret)
    fine = screen.resize((FINE * screen.width,) * 2, Image.Resampling.NEAREST)
    code = fine.resize((pixels, pixels), Image.Resampling.BOX)
    if lamp:
        _mirror_lamp(code, chance)
    held = code.transform(
        (FRAME, FRAME), Image.Transform.PERSPECTIVE, _pose(pixels, chance),
        Image.Resampling.BICUBIC, fillcolor=255,
    )  # fmt: skip
    seen = held.filter(ImageFilter.GaussianBlur(blur))
    seen = seen.point([BLACK + level * (WHITE - BLACK) // 255 for level in range(256)])
    return _with_noise(ImageChops.multiply(seen, _light(chance)), chance)


def _mirror_lamp(code: Image.Image, chance: random.Random) -> None:
    radius = code.width * math.sqrt(LAMP / math.pi)
    # Away from the three corners: without them nothing is found, whatever is in the code.
    x, y = (chance.uniform(0.4, 0.7) * code.width for _ in "xy")
    ImageDraw.Draw(code).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def _pose(pixels: int, chance: random.Random) -> tuple[float, ...]:
    """Return Pillow's eight numbers of PERSPECTIVE, which lead from the frame to the code.

    With the middle of each as its origin, that is a turn, divided by 1 + `lean_x` x + `lean_y` y.
    """
    angle = math.radians(chance.uniform(-10, 10))
    cosine, sine = math.cos(angle), math.sin(angle)
    lean_x, lean_y = (chance.uniform(-0.2, 0.2) / FRAME for _ in "xy")
    middle, half = FRAME / 2, pixels / 2
    scale = 1 - (lean_x + lean_y) * middle  # Pillow wants the ninth number to be 1
    numbers: list[float] = []
    for turn_x, turn_y in ((cosine, sine), (-sine, cosine)):
        numbers += turn_x + lean_x * half, turn_y + lean_y * half
        numbers.append(half * scale - (turn_x + turn_y) * middle)
    return tuple(number / scale for number in (*numbers, lean_x, lean_y))


def _light(chance: random.Random) -> Image.Image:
    """Return full light above, and down to six tenths of it below."""
    darkest = chance.uniform(0.6, 1)
    slope = Image.linear_gradient("L").resize((FRAME, FRAME))  # black above, white below
    return slope.point([round(255 - level * (1 - darkest)) for level in range(256)])


def _with_noise(seen: Image.Image, chance: random.Random) -> Image.Image:
    noise = Image.frombytes("L", seen.size, chance.randbytes(FRAME * FRAME))
    narrow = noise.point([level * NOISE // 256 for level in range(256)])
    return ImageChops.add(seen, narrow, offset=-NOISE // 2)
