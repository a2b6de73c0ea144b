"""Whether the keys of a challenge still count when its response comes, ten minutes later.

A key may be revoked, expire or leave the record while its prompt is open, and whoever stole it may
have the prompt. In every login but those, a few stat(2) tell that nothing has changed.
"""

import os

from trex.openpgp.keyring import Keyring
from trex.openpgp.record import check_account, is_file, parse_record
from trex.system.privilege import acting_as, native, readable
from trex.system.safefile import read_safely

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.openpgp.record import AuthRecord
    from trex.system.privilege import Account

RINGS = ("pubring.kbx", "pubring.gpg", "trustdb.gpg", "public-keys.d/pubring.db")


class Standing:
    """The record and its keys, as files that may be replaced.

    It is made before they are read, so that no change falls between.
    """

    def __init__(self, options: "Options", account: "Account", reader: "Account",
                 path: str, home: str) -> None:  # fmt: skip
        self.keys: list[str] = []  # of the challenge, as in the log
        self._options = options
        self._account = account
        self._reader = reader
        self._path = path
        self._home = home
        self._watched = [path, *(os.path.join(home, ring) for ring in RINGS)]
        self._seen = self._look()

    def watch(self, record: "AuthRecord") -> None:
        """Watch the record's key files, too, before they are read."""
        files = [native(name) for name in record.recipients if is_file(name)]
        if files:
            before, self._watched = self._watched, files
            self._seen += self._look()
            self._watched = before + files

    def check(self) -> None:
        """Look again. Raises a TrexError where a login would ask none of these keys now."""
        if self._look() == self._seen:
            return
        able = self._able()
        for key in self.keys:
            if key not in able:
                from trex.openpgp.errors import KeyEnded

                raise KeyEnded(key)

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

    def _able(self) -> list[str]:
        """Return the record's keys that can be asked now."""
        from trex.openpgp.errors import KeyUnusable
        from trex.openpgp.keylist import parse_listing
        from trex.openpgp.recipients import verdict
        from trex.openpgp.record import ONE_SUBKEY

        options, reader = self._options, self._reader
        with acting_as(reader):
            content = read_safely(self._path, reader)
        record = parse_record(content, self._path, readable(self._account.home))
        check_account(record, self._path, self._account)
        able = []
        with Keyring(options.gpg, reader, self._home, options.gpg_timeout) as ring:
            for name in record.recipients:
                try:
                    listing = ring.list_recipient(name, trust=record.trust)
                except KeyUnusable:  # the file of a key has gone
                    continue
                key, fault = verdict(name, parse_listing(listing), trust=record.trust)
                if key and not fault:
                    able.append(name if name.endswith(ONE_SUBKEY) else key.fingerprint)
        return able
