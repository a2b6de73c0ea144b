"""Which key signs for which host: `pins` in Trex's directory, `HOST FINGERPRINT` a line."""

from __future__ import annotations

from trex.cli.client.hosts import UNKNOWN, is_host, same_host, split_port
from trex.cli.client.store import Table
from trex.cli.client.words import V4_DIGITS, is_fingerprint
from trex.cli.errors import CommandError
from trex.errors import cut

FORM = "HOST FINGERPRINT"


class Pins:
    """The pins in the file. Raises RecordError for a line that is wrong."""

    def __init__(self) -> None:
        self._table = Table("pins", FORM)
        self.by_host: dict[str, str] = {}
        for number, (host, fingerprint) in self._table.read():
            if not is_host(host):
                raise self._table.error(number, f'"{cut(host)}"', "a host name in lower case")
            if not is_v4_fingerprint(fingerprint):
                raise self._table.error(number, f'"{cut(fingerprint)}"', "40 capital hex digits")
            if host in self.by_host:
                raise self._table.error(
                    number, f"{cut(host)} for the second time", "one line for each host"
                )
            self.by_host[host] = fingerprint

    def exact(self, hosts: list[str], port: str) -> set[str]:
        """Return the keys that are pinned under exactly one of these names.

        A pin with the port takes precedence over one without.
        """
        keys = {split_port(name): fingerprint for name, fingerprint in self.by_host.items()}
        if port == UNKNOWN:
            return {key for (host, _), key in keys.items() if host in hosts}
        for wanted in (port, ""):
            for host in hosts:
                if (host, wanted) in keys:
                    return {keys[host, wanted]}
        return set()

    def expected(self, hosts: list[str], port: str) -> set[str]:
        """Return the keys of which one must sign for a host with these names; empty for any key.

        If none of exactly these names is pinned, pins of names that may refer to the host count:
        `web` for `web.example.org`.
        """
        return self.exact(hosts, port) or {
            fingerprint
            for name, fingerprint in self.by_host.items()
            for pinned, only in [split_port(name)]
            if UNKNOWN in (port, only) or only == port
            if any(same_host(pinned, host) for host in hosts)
        }

    def hosts_of(self, fingerprint: str) -> list[str]:
        """Return the hosts that this key is pinned for."""
        return [host for host, pinned in self.by_host.items() if pinned == fingerprint]

    def add(self, host: str, fingerprint: str) -> None:
        """Pin a key. Raises CommandError if another key is pinned: a pin is never replaced.

        Also for an invalid host name: with such a line the whole file would be refused.
        """
        if not is_host(host):
            raise CommandError(
                f"{host} cannot be pinned: expected a host name in lower-case ASCII",
                "give ssh another name for it",
            )
        pinned = self.by_host.get(host)
        if pinned and pinned != fingerprint:
            raise CommandError(
                f"ANOTHER KEY IS PINNED for {host}: {pinned}, not {fingerprint}. Either its "
                "administrators have changed the key, or somebody pretends to be that host",
                f"ask them; if they have changed it: trex unpin {host}, then pin the new key",
            )
        if not pinned:
            self._table.add(host, fingerprint, alone=True)
            self.by_host[host] = fingerprint

    def remove(self, host: str) -> None:
        """Remove a pin. Raises CommandError if there is none."""
        if host not in self.by_host:
            raise CommandError(f"no key is pinned for {host}", "trex pins")
        self._table.remove(lambda words: words[0] == host)
        del self.by_host[host]


def is_v4_fingerprint(text: str) -> bool:
    """Return whether `text` is the fingerprint of a key of version 4."""
    return len(text) == V4_DIGITS and is_fingerprint(text)
