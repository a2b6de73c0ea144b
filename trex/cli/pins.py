"""Which key signs for which host: `pins` in Trex's directory, a line `HOST FINGERPRINT` each."""

from __future__ import annotations

import re

from trex.cli.errors import ClientError
from trex.cli.hosts import HOST_FORM, same_host
from trex.cli.store import Table

FORM = "HOST FINGERPRINT"
FINGERPRINT = re.compile(r"[0-9A-F]{40}")


class Pins:
    """The pins as they are in the file. Raises RecordError with the line that is wrong."""

    def __init__(self) -> None:
        self._table = Table("pins", FORM)
        self.path = self._table.path
        self.by_host: dict[str, str] = {}
        for number, (host, fingerprint) in self._table.read():
            if not HOST_FORM.fullmatch(host):
                raise self._table.error(number, f'"{host}"', "a host's name in small letters")
            if not FINGERPRINT.fullmatch(fingerprint):
                raise self._table.error(number, f'"{fingerprint}"', "40 capital hex digits")
            if host in self.by_host:
                raise self._table.error(number, f"{host} for the second time", "one line a host")
            self.by_host[host] = fingerprint

    def expected(self, names: list[str]) -> set[str]:
        """Return the keys that may sign for a host with these names; none if it is not pinned.

        The first of the names that has a pin of its own decides. Where none has, those pins count
        that may mean the host: `web` for `web.example.org`.
        """
        for name in names:
            if name in self.by_host:
                return {self.by_host[name]}
        return {
            fingerprint
            for host, fingerprint in self.by_host.items()
            if any(same_host(host, name) for name in names)
        }

    def hosts_of(self, fingerprint: str) -> list[str]:
        """Return the hosts that this key is pinned for."""
        return [host for host, pinned in self.by_host.items() if pinned == fingerprint]

    def add(self, host: str, fingerprint: str) -> None:
        """Pin a key. Raises ClientError where another one is pinned: a change is no pin."""
        pinned = self.by_host.get(host)
        if pinned and pinned != fingerprint:
            raise ClientError(
                f"ANOTHER KEY IS PINNED for {host}: {pinned}, and not {fingerprint}. Either its "
                "administrators changed the key, or somebody pretends to be that host",
                f"ask them; if it is true: trex unpin {host}, then pin the new key",
            )
        if not pinned:
            self._table.add(host, fingerprint, alone=True)
            self.by_host[host] = fingerprint

    def remove(self, host: str) -> None:
        """Take a pin away. Raises ClientError where there is none."""
        if host not in self.by_host:
            raise ClientError(f"no key is pinned for {host}", "trex pins")
        self._table.remove(lambda words: words[0] == host)
        del self.by_host[host]
