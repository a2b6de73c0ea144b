"""The challenge of any method: one question, one deadline, one judgement on one response."""

import os
import time
from _operator import _compare_digest as equal_in_constant_time  # hmac's; hmac costs 4 ms

from trex.errors import ACCEPTED, LATE, MISSING, WRONG, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, Self

    class Conversation(Protocol):
        """What the story may ask of the application."""

        def ask(self, question: str, *, echo: bool) -> str | None:
            """Show a prompt and return the response; None if there is none."""

        def inform(self, text: str) -> None:
            """Show lines that need no answer. Raises ConversationFailed."""

        def earlier_password(self) -> str | None:
            """Return what an earlier module asked for (PAM_AUTHTOK), or None."""

        def pass_on(self, password: str) -> None:
            """Pass a password on to the next module. Raises ConversationFailed."""


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LENGTH = 10  # 62^10 = 8.4e17 challenges, 59.5 bits


def random_text(length: int = LENGTH) -> str:
    """Return `length` uniform characters of `ALPHABET` from getrandom(2).

    Six bits make a number below 64; 62 and 63 are rejected, because reducing them would make two
    characters likelier than the others.
    """
    chosen = ""
    while len(chosen) < length:
        numbers = [byte & 63 for byte in os.getrandom(2 * length)]
        chosen += "".join(ALPHABET[number] for number in numbers if number < len(ALPHABET))
    return chosen[:length]


def random_digits(length: int) -> str:
    """Return `length` uniform digits from getrandom(2); ten to fifteen are rejected."""
    chosen = ""
    while len(chosen) < length:
        numbers = [byte & 15 for byte in os.getrandom(2 * length)]
        chosen += "".join(str(number) for number in numbers if number < len("0123456789"))
    return chosen[:length]


def now() -> float:
    """Return seconds on a clock that cannot be set and that includes suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def spoken_duration(seconds: int) -> str:
    """Return 600 as `10 minutes`, 90 as `1 minute 30 seconds`."""
    minutes, rest = divmod(seconds, 60)
    parts = [(minutes, "minute"), (rest, "second")]
    return " ".join(f"{n} {unit}{'s' * (n != 1)}" for n, unit in parts if n)


class Challenge:
    """What one login asks, until when, and the only judgement on its response.

    A method says which texts are right at the time of the judgement (`accepted`), records the
    result (`settle`), and ends with the `with` block what it keeps open until then (`end`); it
    cannot give a verdict.
    """

    def __init__(self, seconds: float) -> None:
        self.information = ""  # shown before the question, as a separate message
        self.question = ""
        self.echo = True
        self.deadline = now() + seconds
        # What a success rests on, b"" if that is unknown: a grace period ends when it changes.
        self.basis: Callable[[], bytes] = bytes
        self.is_right = False  # what the judgement has found; it is no verdict
        self._judged = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __enter__(self) -> "Self":
        """Return the challenge: it has begun already."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End what lasts until the judgement."""
        self.end()

    def end(self) -> None:
        """End what lasts until the judgement, such as a page."""

    def obtain(self, conversation: "Conversation") -> str | None:
        """Show the information, ask the question, and return the response."""
        if self.information:
            conversation.inform(self.information)
        return conversation.ask(self.question, echo=self.echo)

    def offered(self, response: str) -> str:
        """Return the part of a response to compare: its last word, or ""."""
        return "".join(response.split()[-1:])

    def accepted(self, offered: str) -> list[str]:
        """Return the right texts; `offered` has to be one of them."""
        raise NotImplementedError

    def settle(self, offered: str, right: int | None) -> None:
        """Record the index of the right text among those accepted, or None, before the verdict.

        Raises a TrexError if that fails: then there is no verdict, and no success.
        """

    def judge(self, response: str | None) -> Outcome:
        """Compare a response, once; raise RuntimeError on any second call.

        This is the one place where a login can succeed.
        """
        arrived = now()
        if self._judged:
            raise RuntimeError("a challenge is judged once")
        self._judged = True
        words = (response or "").split()
        offered = self.offered(response) if response and words else ""
        if not offered:
            return MISSING
        # All of them: the time it takes does not reveal which one is right.
        matches = [is_equal(offered, text) for text in self.accepted(offered)]
        if arrived >= self.deadline:
            return LATE
        right = matches.index(True) if True in matches else None
        self.settle(offered, right)
        self.is_right = right is not None
        return WRONG if right is None else ACCEPTED


def is_equal(offered: str, text: str) -> bool:
    """Compare in constant time."""
    return equal_in_constant_time(
        offered.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass")
    )


class OneText(Challenge):
    """A challenge with exactly one right text."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(seconds)
        self._text = text

    def accepted(self, offered: str) -> list[str]:  # noqa: ARG002 (whatever is offered)
        """Return that one text."""
        return [self._text]


class RandomText(OneText):
    """Ten characters; whoever can decrypt them can answer."""

    def __init__(self, seconds: float) -> None:
        super().__init__(random_text(), seconds)

    @property
    def plaintext(self) -> bytes:
        """What is encrypted: exactly the ten characters and a newline."""
        return f"{self._text}\n".encode("ascii")
