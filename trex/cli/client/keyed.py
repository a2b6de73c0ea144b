"""Hosts whose challenges name their host keys: `hostkeys` in Trex's directory, a HOST a line.

From the first such challenge on, one of this host's that names none is refused: it would be the
challenge of another server, whose Trex is older, or whose administrator has left the keys out.
Hosts have the form of known_hosts, percent-encoded.
"""

from __future__ import annotations

from trex.cli.client.hosts import UNKNOWN, split_port
from trex.cli.client.store import Table
from trex.cli.client.words import is_word
from trex.errors import cut
from trex.openpgp.prompt import encoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.cli.client.target import Target

FORM = "HOST"


class Keyed:
    """The hosts in the file. Raises RecordError for a line that is wrong."""

    def __init__(self) -> None:
        self._table = Table("hostkeys", FORM)
        self.path = self._table.path
        self.hosts: set[str] = set()
        for number, (host,) in self._table.read():
            if not is_word(host):
                raise self._table.error(number, f'"{cut(host)}"', FORM)
            self.hosts.add(host)

    def entry(self, target: Target) -> str:
        """Return the line for this host, "" if there is none.

        If the port is not known, the line for any port of the host counts.
        """
        for known in sorted(self.hosts):
            host = split_port(known)[0] if target.port == UNKNOWN else known
            if host in map(encoded, target.names):
                return known
        return ""

    def add(self, target: Target) -> None:
        """Store that this host's challenges name its host keys. Raises StoreError."""
        host = encoded(target.host)
        if not self.entry(target):
            self._table.add(host)
            self.hosts.add(host)
