"""The response: what a stranger types at the prompt."""

from __future__ import annotations

from itertools import permutations

from trex.errors import ACCEPTED, LATE, MISSING, WRONG
from trex.login.challenge import OneText
from trex.openpgp.apart import TwoTexts

TEXT = "Ab3xYz0129"  # a challenge that seeds can know, so that the right answer is found, too
TEXTS = {"one": TEXT, "other": "Cd4wVu5678", "third": "Ef5vTs6780"}
PAIRS = {one + other for one, other in permutations(TEXTS.values(), 2)}


def check(data: bytes) -> None:
    """Accept the ten characters as the last word, and nothing else; judge once.

    Of two people, accept both texts as the last words, in any order, or as the last word; if the
    record names three, the texts of any two.
    """
    response = data.decode("utf-8", "surrogatepass" if data[:1] < b"\x80" else "replace") \
        if _decodes(data) else data.decode("latin-1")  # fmt: skip
    words = response.split()
    expected = (ACCEPTED if words[-1] == TEXT else WRONG) if words else MISSING
    assert _fresh(60).judge(response) is expected
    assert _fresh(-1).judge(response) is (LATE if words else MISSING)
    pair = bool(words) and not PAIRS.isdisjoint((words[-1], "".join(words[-2:])))
    assert _two(60).judge(response) is ((ACCEPTED if pair else WRONG) if words else MISSING)
    assert _two(-1).judge(response) is (LATE if words else MISSING)
    judged = _fresh(60)
    judged.judge(response)
    try:
        judged.judge(TEXT)
    except RuntimeError:
        return
    raise AssertionError("a challenge was judged twice")


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _fresh(seconds: float) -> OneText:
    return OneText(TEXT, seconds)


def _two(seconds: float) -> TwoTexts:
    made = TwoTexts(list(TEXTS), seconds)
    made._texts = TEXTS  # noqa: SLF001 (seeds have to know them)
    return made
