"""The challenge: ten random characters, one look, one deadline."""

import os
import time
from _operator import _compare_digest as equal_in_constant_time  # hmac's; hmac costs 4 ms

from trex.errors import ACCEPTED, LATE, MISSING, WRONG, Outcome

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LENGTH = 10  # 62^10 = 8.4e17 challenges, 59.5 bits


def random_text(length: int = LENGTH) -> str:
    """Return `length` uniform characters of `ALPHABET` from getrandom(2).

    Six bits make a number below 64; 62 and 63 are thrown away, because folding them back would
    make two characters likelier than the rest.
    """
    chosen = ""
    while len(chosen) < length:
        numbers = [byte & 63 for byte in os.getrandom(2 * length)]
        chosen += "".join(ALPHABET[number] for number in numbers if number < len(ALPHABET))
    return chosen[:length]


def now() -> float:
    """Return seconds on a clock that nobody sets and that also counts suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Challenge:
    """One challenge and the only judgement on its response."""

    __slots__ = ("_judged", "_text", "deadline")

    def __init__(self, seconds: float) -> None:
        self._text = random_text()
        self._judged = False
        self.deadline = now() + seconds

    def __repr__(self) -> str:
        return "<Challenge>"

    @property
    def plaintext(self) -> bytes:
        """What is encrypted: exactly the ten characters and a newline."""
        return f"{self._text}\n".encode("ascii")

    def judge(self, response: str | None) -> Outcome:
        """Compare the response's last word, once; raise RuntimeError on any second call.

        This is the one place where a login can succeed.
        """
        arrived = now()
        if self._judged:
            raise RuntimeError("a challenge is judged once")
        self._judged = True
        words = (response or "").split()
        if not words:
            return MISSING
        offered = words[-1].encode("utf-8", "surrogatepass")
        right = equal_in_constant_time(offered, self._text.encode("ascii"))
        if arrived >= self.deadline:
            return LATE
        return ACCEPTED if right else WRONG
