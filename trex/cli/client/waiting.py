"""Tells the user what gpg waits for, after a second: a passphrase, a PIN, a touch.

A card shows nothing while it waits, and a pinentry may be on another terminal or behind a window.
The line is erased when gpg goes on.
"""

from __future__ import annotations

import os
import sys

from trex.errors import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.cli.client.loginkeys import Held

SECONDS = 1.0
PINENTRY = b"[GNUPG:] PINENTRY_LAUNCHED "
FLAVOR, TERMINAL = 1, 3  # indexes of its words; the pid is the first (start_pinentry in gpg-agent)
ON_TERMINALS = ("curses", "tty")
ERASE = "\r\x1b[K"
SERIAL = 32  # hex digits of an OpenPGP card's full number (4.2.1 in its specification)


class Waiting:
    """A context manager that shows a line on standard error, unless it is `quiet`.

    `show` has to be called after `seconds`, and then calls `late` first; `hear` with each of gpg's
    status lines.
    """

    seconds = SECONDS

    def __init__(
        self, what_for: str, keys: list[Held], *, quiet: bool = False,
        late: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self._what_for = what_for
        self._key = next((one for key in keys for one in key.cards), "")
        cards = [card for key in keys for card in key.cards.values() if card]
        self._card = _number(cards[0]) if cards else ""
        self._quiet = quiet
        self._late = late
        self._on_terminal = sys.stderr.isatty()
        self._said = ""
        self._asked = ""  # where a pinentry asks, once it was started
        self._is_asked = self._shown = self._due = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._quiet = True
        self._erase()

    def hear(self, line: bytes) -> None:
        """Process one of gpg's status lines."""
        if not line.startswith(PINENTRY):
            return
        words = [*line[len(PINENTRY) :].decode("utf-8", "replace").split(), "", "", "", ""]
        terminal = words[TERMINAL] if any(one in words[FLAVOR] for one in ON_TERMINALS) else ""
        self._erase()
        self._is_asked = True
        self._asked = f", asked at {terminal}" if terminal.startswith("/") else ""
        self._quiet |= self._on_terminal and terminal == os.ttyname(sys.stderr.fileno())
        if self._due:
            self._tell()

    def show(self) -> None:
        """Show the line: gpg has not ended by now."""
        if self._late:
            self._late()
        self._due = True
        self._tell()

    def _tell(self) -> None:
        if self._quiet or self._shown:
            return
        text = one_line(f"trex: {self._what_for}: waiting for {self._awaited()}")
        if self._on_terminal:  # at most one row, so that it can be erased
            text = text[: os.get_terminal_size(sys.stderr.fileno()).columns - 1]
        elif text == self._said:  # an agent may ask repeatedly for a card
            return
        sys.stderr.write(text if self._on_terminal else f"{text}\n")
        sys.stderr.flush()
        self._said, self._shown = text, True

    def _awaited(self) -> str:
        if self._card:
            return f"the card {self._card} (its PIN, or a touch){self._asked}"
        if self._is_asked:
            return f"the passphrase of {self._key}{self._asked}"
        return "gpg-agent"

    def _erase(self) -> None:
        if self._shown and self._on_terminal:
            sys.stderr.write(ERASE)
            sys.stderr.flush()
        self._shown = False


def _number(card: str) -> str:
    """Return a card's number as gpg prints it, and as it is printed on the card."""
    return f"{card[16:20]} {card[20:28]}" if len(card) == SERIAL else card
