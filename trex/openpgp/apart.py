"""A login that takes two people: to each key a text of its own, and an answer with two of them.

docs/two-people.md says what it protects from, and why the prompt has this form.
"""

from trex.login.challenge import LENGTH, random_text
from trex.openpgp.gpg import ENCRYPT, Gpg, Message
from trex.openpgp.keyblock import key_id
from trex.openpgp.prompt import Encrypted, prompt_text
from trex.openpgp.record import TWO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.openpgp.keyring import GpgProcess
    from trex.openpgp.recipients import Chosen

QUESTION = "Both responses: "
TASK = "two people decrypt one message each;\nanswer with both texts, in any order."


class TwoTexts(Encrypted):
    """Ten characters for each key; the answer is those of two keys, in any order.

    Both texts are one text when they are compared, so that the time it takes and the verdict tell
    nobody which of them was wrong.
    """

    def __init__(self, names: list[str], seconds: float) -> None:
        super().__init__(seconds)
        self._texts = {name: random_text() for name in names}
        self._asked = dict.fromkeys(names, "")  # the log's names by the record's
        self._told: list[str] = []

    @property
    def plaintext(self) -> bytes:
        """A line for each key, in the record's order; `Apart` encrypts each by itself."""
        return "".join(f"{text}\n" for text in self._texts.values()).encode("ascii")

    def asked(self, chosen: "list[Chosen]", told: list[str]) -> None:
        """Let the texts of these keys alone count: nobody was sent the others."""
        self._asked = {one.name: one.asked for one in chosen}
        self._told = told

    def prompt(self, user: str, message: str, where: str, seconds: int, question: str) -> str:  # noqa: ARG002 (no code has two messages)
        """Return the prompt, with a message for each key and no QR code."""
        return prompt_text(user, message, "", seconds, question or QUESTION, TASK)

    def offered(self, response: str) -> str:
        """Return the last two words as one, or the last word, if that has both texts."""
        words = response.split()
        has_both = len(words[-1]) == TWO * LENGTH
        return words[-1] if has_both else "".join(words[-TWO:])

    def accepted(self, offered: str) -> list[str]:  # noqa: ARG002 (whatever is offered)
        """Return the texts of any two keys, in both orders."""
        return [self._texts[one] + self._texts[other] for one, other in self._pairs()]

    def settle(self, offered: str, right: int | None) -> None:
        """Note in the log who has answered. Raises a TrexError if their keys no longer count."""
        super().settle(offered, right)
        if right is not None:
            for name in set(self._asked).difference(self._pairs()[right]):
                if self._asked[name] in self._told:
                    self._told.remove(self._asked[name])

    def _pairs(self) -> list[tuple[str, str]]:
        return [(one, other) for one in self._asked for other in self._asked if one != other]


class Apart(Gpg):
    """gpg for one login, once for each key of the record: each message has one recipient."""

    people = TWO

    def _encrypt(self) -> None:
        plaintext, context = self._told
        texts = dict(zip(self._record.recipients, plaintext.splitlines(keepends=True), strict=True))
        self._find_keys()
        _check_apart(self.chosen)
        self._children: list[GpgProcess] = []
        for one in self.chosen:
            if self._children:
                self._child = self.start_alone(ENCRYPT, keys=1)
            self._feed([one], texts[one.name], context)
            self._children.append(self._child)

    def _message(self) -> Message:
        parts = []
        for number, one in enumerate(self.chosen, start=1):
            armored = self._finish(self._children[number - 1], [one])
            if armored is None:  # all began anew
                return self._message()
            which = f"Message {number} of {len(self.chosen)}, for the key"
            parts.append(f"{which} {key_id(one.fingerprint)}:\n{armored}")
        return Message("".join(parts), [one.asked for one in self._taking_part()])


def _check_apart(chosen: "list[Chosen]") -> None:
    """Check that no key can answer two messages: not under two names, nor as another's subkey.

    Raises SamePerson. That two keys are of two people, only whoever wrote the record knows.
    """
    for number, one in enumerate(chosen):
        for other in chosen[:number]:
            own = {one.fingerprint, *one.subkeys}
            if not own.isdisjoint([other.fingerprint, *other.subkeys]):
                from trex.openpgp.errors import SamePerson

                raise SamePerson(one.name, other.name)
