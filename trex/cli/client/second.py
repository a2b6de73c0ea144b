"""The second person of a login that takes two: their response is asked for at the terminal.

Whoever is there has seen nothing of the prompt, because ssh asks this program instead of them. So
it shows the messages, of which one is for the other person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.client.foreign import is_at_terminal, read_line
from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

QUESTION = "Yours is answered. What does the other person's message say? "


def respond_with_second(
    prompt: str, respond: Callable[[], str], late: Callable[[], None] | None = None
) -> str:
    """Return the user's own response and the other person's, which answer `prompt`.

    `late` is called before the user is asked, who may take long. Raises CommandError where nobody
    can be asked, before anything is decrypted, or what `respond` raises.
    """
    if not is_at_terminal():
        raise CommandError(
            "this login takes two people, and there is no terminal to ask for the other's response",
            "log in at a terminal",
        )
    own = respond()
    if late:
        late()
    shown, _, _ = prompt.rstrip().rpartition("\n")
    line = read_line(f"{shown.lstrip()}\n{QUESTION}", echo=True)
    if not line or not line.strip():
        raise CommandError("no response of the other person", "log in again for new messages")
    return f"{own} {line.decode('utf-8', 'replace').strip()}"
