"""Whether the keys of a challenge still count when its response comes, ten minutes later.

A key may be revoked, expire or leave the record while its prompt is open, and whoever stole it may
have the prompt. So may a subkey of one that has others: only those of the message can answer it. In
every login but those, a few stat(2) tell that nothing has changed.
"""

import os

from trex.openpgp.keyring import Keyring
from trex.openpgp.record import check_account, is_file, parse_record
from trex.system.privilege import acting_as, native, readable
from trex.system.safefile import read_safely

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.openpgp.recipients import Chosen
    from trex.openpgp.record import AuthRecord
    from trex.system.privilege import Account

RINGS = ("pubring.kbx", "pubring.gpg", "trustdb.gpg", "public-keys.d/pubring.db")


class Standing:
    """The record and its keys, as files that may be replaced.

    It is made before they are read, so that no change falls between.
    """

    def __init__(self, options: "Options", account: "Account", reader: "Account",
                 path: str, home: str) -> None:  # fmt: skip
        self.keys: list[Chosen] = []  # of the challenge
        self._needed = self._needed_now = 1  # how many of them answer
        self._options = options
        self._account = account
        self._reader = reader
        self._path = path
        self._home = home
        self._watched = [path, *(os.path.join(home, ring) for ring in RINGS)]
        self._seen = self._look()

    def watch(self, record: "AuthRecord") -> None:
        """Watch the record's key files, too, before they are read."""
        self._needed = record.needed
        files = [native(name) for name in record.recipients if is_file(name)]
        if files:
            before, self._watched = self._watched, files
            self._seen += self._look()
            self._watched = before + files

    def check(self) -> None:
        """Look again. Raises a TrexError where one of these keys would not be asked so now."""
        if self.is_unchanged():
            return
        _, able = self.able()
        if self._needed_now > self._needed:
            from trex.openpgp.errors import AsksForTwo

            raise AsksForTwo(readable(self._path))
        for key in self.keys:
            if not able.get(key.asked, set()).issuperset(key.used):
                from trex.openpgp.errors import KeyEnded

                raise KeyEnded(key.asked)

    @property
    def asks_for_two(self) -> bool:
        """Whether the record that `able` has read asks for two people."""
        return self._needed_now > 1

    @property
    def written(self) -> str:
        """Which file the record was, and when it last changed, as text; "" for none."""
        _, *what = self._seen[0] or ("",)
        return " ".join(map(str, what))

    def is_unchanged(self) -> bool:
        """Tell whether record, keyring and key files are what they were."""
        return self._look() == self._seen

    def _look(self) -> list[tuple[int, ...]]:
        """Return which files these are, and their state; the time, as an inode is used again."""
        found: list[tuple[int, ...]] = []
        with acting_as(self._reader):
            for path in self._watched:
                try:
                    status = os.stat(path)
                    found.append((status.st_dev, status.st_ino, status.st_ctime_ns))
                except OSError:
                    found.append(())
        return found

    def able(self) -> tuple[bytes, dict[str, set[str]]]:
        """Return the record as it is now, and its keys that can be asked, with their subkeys.

        Raises a TrexError.
        """
        from trex.openpgp.errors import KeyUnusable
        from trex.openpgp.keylist import parse_listing
        from trex.openpgp.recipients import choose

        options, reader = self._options, self._reader
        with acting_as(reader):
            content = read_safely(self._path, reader)
        record = parse_record(content, self._path, readable(self._account.home))
        check_account(record, self._path, self._account)
        self._needed_now = record.needed
        able: dict[str, set[str]] = {}
        with Keyring(options.gpg, reader, self._home, options.gpg_timeout) as ring:
            for name in record.recipients:
                try:
                    listing = ring.list_recipient(name, trust=record.trust)
                    key = choose(name, parse_listing(listing), trust=record.trust)
                except KeyUnusable:  # also if the file of a key has gone
                    continue
                able.setdefault(key.asked, set()).update(key.subkeys)
        return content, able
