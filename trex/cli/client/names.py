"""Names that the user confirmed: `names` in Trex's directory, `SSH-NAME MESSAGE-NAME` a line.

Each is a percent-encoded `user@host`: the first as ssh knows it, the second as the server writes it
into a message.
"""

from __future__ import annotations

from trex.cli.client.store import Table
from trex.cli.client.words import is_word, unquoted
from trex.cli.errors import CommandError
from trex.errors import cut

FORM = "USER@HOST USER@HOST"


class Names:
    """The names in the file. Raises RecordError for a line that is wrong."""

    def __init__(self) -> None:
        self._table = Table("names", FORM)
        self.confirmed: set[tuple[str, str]] = set()
        for number, (ours, theirs) in self._table.read():
            for name in (ours, theirs):
                if not is_name(name):
                    raise self._table.error(number, f'"{cut(name)}"', "USER@HOST")
            self.confirmed.add((ours, theirs))

    def hosts_of(self, name: str) -> list[str]:
        """Return the hosts that write `name`, as ssh knows them, with or without a port."""
        return [unquoted(ours.rpartition("@")[2], "replace") for ours, theirs in self.confirmed
                if theirs == name]  # fmt: skip

    def confirm(self, ours: str, theirs: str) -> None:
        """Store that the server that ssh knows as `ours` writes `theirs`."""
        self._table.add(ours, theirs)
        self.confirmed.add((ours, theirs))

    def forget(self, ours: str, theirs: str | None) -> list[tuple[str, str]]:
        """Remove a host's names, or one of them; return what was removed. Raises CommandError."""
        gone = sorted(
            pair for pair in self.confirmed if pair[0] == ours and theirs in (None, pair[1])
        )
        if not gone:
            raise CommandError(f"no such name was confirmed for {cut(ours)}", "trex names")
        self._table.remove(lambda words: (words[0], words[1]) in gone)
        self.confirmed -= set(gone)
        return gone


def is_name(text: str) -> bool:
    """Return whether `text` is a percent-encoded `user@host`."""
    user, _, host = text.rpartition("@")
    return is_word(user) and is_word(host)
