"""PAM services that a host's sshd uses: `services` in Trex's directory, `HOST SERVICE` a line.

`sshd` itself, the usual one, is not listed. Both are percent-encoded, the host in the form of
known_hosts.
"""

from __future__ import annotations

from trex.cli.client.store import Table
from trex.cli.client.words import is_word
from trex.errors import cut

FORM = "HOST SERVICE"
SSHD = "sshd"
# They give more rights to a user who is already logged in: no login by ssh uses them.
RAISING = ("sudo", "sudo-i", "su", "su-l", "doas", "polkit-1", "runuser", "runuser-l")


class Services:
    """The services in the file. Raises RecordError for a line that is wrong."""

    def __init__(self) -> None:
        self._table = Table("services", FORM)
        self.allowed: set[tuple[str, str]] = set()
        for number, (host, service) in self._table.read():
            for word in (host, service):
                if not is_word(word):
                    raise self._table.error(number, f'"{cut(word)}"', FORM)
            self.allowed.add((host, service))

    def allow(self, host: str, service: str) -> None:
        """Store that this host's sshd uses this service."""
        self._table.add(host, service)
        self.allowed.add((host, service))
