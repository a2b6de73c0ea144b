"""Running gpg for one login, and what it finds in a keyring.

Listings: doc/DETAILS in GnuPG's source, "Format of colon listings".
"""

import os
from time import monotonic

from trex.errors import GpgFailed, GpgTimedOut, NoRecord
from trex.openpgp.record import is_file
from trex.system.child import end_at
from trex.system.filter import INSTRUCTIONS_FD, Filter
from trex.system.privilege import acting_as, native, readable
from trex.system.program import STATUS_FD
from trex.system.safefile import check_directories, check_writers, read_safely
from trex.system.sigchld import OwnChildren

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from trex.openpgp.keylist import Sieve
    from trex.openpgp.record import AuthRecord
    from trex.system.child import Leash
    from trex.system.privilege import Account

KEYBOXD = "common.conf"  # tells GnuPG 2.4 to keep its keys in a daemon (use-keyboxd)
PRIVATE, PUBLIC, DATABASE = "private-keys-v1.d", "public-keys.d", "pubring.db"
RINGS = ("pubring.kbx", "pubring.gpg")
KEYRING = (*RINGS, "trustdb.gpg", KEYBOXD, PRIVATE, PUBLIC)

# Read only the keyring, ask nobody, write nothing. The pipe replaces gpg.conf, which could add
# recipients, rename keys (`group`) or name programs. No locks: a reader needs none, and a stale one
# must not lock the owner out.
COMMON = [
    "--options", f"/proc/self/fd/{INSTRUCTIONS_FD}", "--status-fd", str(STATUS_FD),
    "--batch", "--no-tty", "--quiet", "--lock-never", "--no-random-seed-file",
    "--no-auto-key-locate", "--no-auto-check-trustdb", "--disable-dirmngr",
    "--pinentry-mode", "error",
]  # fmt: skip
LIST = ["--with-colons", "--list-keys"]
SHOW = ["--with-colons", "--fast-list-mode", "--show-keys"]  # otherwise 2.2 needs a trust database
MAX_KEY = 1 << 20  # bytes of a key file
# Other people's keys may be listed too, each with megabytes of user ids: room for some.
MAX_LISTING = 16 << 20
# Built from native/trex-confine.c. Without it gpg runs all the same, and `trex doctor` says so.
CONFINER = os.path.dirname(os.path.dirname(os.path.dirname(__file__))) + "/trex-confine"
NO_HOME = "/nonexistent"  # for a gpg that is given all its keys
# Without any keyring, 2.2 looks for the default one, and fails.
NO_KEYRING = ["no-default-keyring", "keyring gnupg-ring:/dev/null"]


class GpgProcess(Filter):
    """One run of gpg: its failures are OpenPGPErrors."""

    name = "gpg"
    failed = GpgFailed
    timed_out = GpgTimedOut


class Keyring:
    """A keyring that gpg searches for one login; every gpg ends with the `with` block."""

    def __init__(self, path: str, account: "Account", home: str, seconds: int) -> None:
        self.path = path
        self.account = account
        self.home = home
        self.contents: list[str] = []  # of the home directory
        self.deadline = monotonic() + seconds
        self._hidden = OwnChildren()  # from the application
        self._started: list[GpgProcess] = []

    def __enter__(self) -> "Self":
        """Hide what is started from the application."""
        self._hidden.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        """End every gpg that has not ended."""
        try:
            end_all(self._started)
        finally:
            self._hidden.__exit__()

    def list_keys(self, names: list[str], *, trust: bool = True) -> str:
        """Return the colon listing (doc/DETAILS) of all keys that gpg finds for `names`.

        Without `trust` it has the validity of the keys in gpg's trust model.
        Raises FileUnsafe for a keyring that others can write, or an OpenPGPError.
        """
        return self.listed(self.search(LIST, names, trust=trust))

    def listed(self, child: GpgProcess, sieve: "Sieve | None" = None) -> str:
        """Return the listing that `search` started, or what a sieve keeps of it.

        Raises GpgFailed if it is not a listing.
        """
        output = child.finish(self.deadline, MAX_LISTING, sieve or bytes).output
        # An old user id may have any bytes.
        text = (output + (sieve.rest if sieve else b"")).decode("utf-8", "replace")
        if not text.startswith("tru:"):  # also if no key was found
            raise GpgFailed("gpg listed no keyring")
        return text

    def list_recipient(self, name: str, *, trust: bool = True) -> str:
        """Return the listing for one name in a record, of a key in the keyring or in a file.

        Raises KeyNotFound or FileUnsafe for a file, or as `list_keys` does.
        """
        if is_file(name):
            return self.show_block(read_key_file(name, self.account))
        self.contents = self.contents or list_home(self.home, self.account)
        # keyboxd's index has only one key for a fingerprint: list all keys.
        return self.list_keys([] if KEYBOXD in self.contents else [name], trust=trust)

    def show_block(self, block: bytes) -> str:
        """Return the listing of a public key outside the keyring. Raises an OpenPGPError."""
        child = self.start_alone(SHOW, home=NO_HOME)
        child.feed(block, "\n".join([*NO_KEYRING, "trust-model always", ""]).encode())
        return self.finish(child).decode("utf-8", "replace")

    def identify_rings(self) -> list[tuple[int, int]]:
        """Return which files the keyring is; the time, because an inode's number is used again."""
        found = []
        with acting_as(self.account):
            for name in RINGS:
                try:
                    status = os.stat(os.path.join(self.home, name))
                    found.append((status.st_ino, status.st_ctime_ns))
                except OSError:
                    found.append((0, 0))
        return found

    def search(self, command: list[str], names: list[str], *, trust: bool = True) -> GpgProcess:
        """Start gpg with a command that looks for `names`; it finds every key that contains one.

        Without names it finds all keys.
        """
        self.contents = self.contents or list_home(self.home, self.account)
        start = self.start_with_daemons if KEYBOXD in self.contents else self.start_alone
        child = start(search_for(command, names))
        child.feed(b"", search_options(trust=trust))
        return child

    def finish(self, child: GpgProcess) -> bytes:
        """Return what gpg wrote. Raises an OpenPGPError at the deadline."""
        return child.finish(self.deadline, MAX_LISTING).output

    def start_alone(self, command: list[str], keys: int = 0, home: str = "") -> GpgProcess:
        """Start gpg so that it can start no daemon; it can be given `keys` keys (`Filter.feed`)."""
        return self._launch(["--no-autostart", *command], end_at(self.deadline), keys, home)

    def start_with_daemons(
        self, command: list[str], keys: int = 0, ring: bytes | None = None
    ) -> GpgProcess:
        """Start gpg with gpg-agent or keyboxd: an agent that runs already, or its own.

        With `ring`, key blocks, it finds only these public keys. No daemon is started in the
        account's own home, so that no login uses a daemon that another one ends.
        """
        from trex.openpgp.privatehome import AGENT, PrivateHome, find_socket
        from trex.system.supervisor import supervised  # slow to import; only these logins need it

        signs = "--sign" in command
        agent = find_socket(AGENT, self.home, self.account) if signs else ""
        if agent and ring is None and KEYBOXD not in self.contents:
            return self.start_alone(command, keys)
        private = PrivateHome(self.home, self.account, agent, ring, secret=signs)
        leash = supervised(private, self.deadline)
        return self._launch(command, leash, keys, ".", private.separate)

    def _launch(
        self,
        command: list[str],
        leash: "Leash",
        keys: int,
        home: str = "",
        separate: "Callable[[], None] | None" = None,
    ) -> GpgProcess:
        child = GpgProcess()
        self._started.append(child)
        arguments = [self.path, *COMMON, "--homedir", readable(home or self.home), *command]
        if os.path.exists(CONFINER):
            kind, keyring = ("daemons", self.home) if separate else ("alone", home or self.home)
            child.through = [readable(CONFINER), kind, readable(keyring)]
        child.start_filter(arguments, self.account, leash, keys, separate)
        return child


def end_all(children: list[GpgProcess]) -> None:
    """End these, also if that fails for one of them: its error is raised in the end."""
    if children:
        try:
            children.pop().end()
        finally:
            end_all(children)


def list_home(home: str, account: "Account") -> list[str]:
    """Return which of gpg's files are in its home, if only `account` or root can write the keyring.

    Each name is looked up, because the user may have put any number of files into the directory.
    """
    with acting_as(account):
        try:
            check_directories(home, account)
            present = [name for name in KEYRING if _is_there(os.path.join(home, name))]
            for name in present:
                check_writers(os.path.join(home, name), account)
            database = os.path.join(home, PUBLIC, DATABASE)
            if PUBLIC in present and _is_there(database):
                check_writers(database, account)
            return present
        except OSError as error:
            raise GpgFailed(f"{readable(home)}: no keyring: {error.strerror}") from None


def check_home(present: list[str], record: "AuthRecord", home: str) -> None:
    """Check that gpg finds its files: it would create them, and must not change the home."""
    if not {"pubring.kbx", "pubring.gpg", KEYBOXD}.intersection(present):
        from trex.openpgp.errors import KeyNotFound

        raise KeyNotFound(record.recipients[0], f": {readable(home)} has no keyring")
    if not record.trust and "trustdb.gpg" not in present:
        from trex.openpgp.errors import KeyNotTrusted

        raise KeyNotTrusted(record.recipients[0], f": {readable(home)} has no trustdb.gpg")


def _is_there(path: str) -> bool:
    """Tell whether there is something at `path`. Raises OSError if that is unknown."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def search_for(command: list[str], names: list[str]) -> list[str]:
    """Return the arguments of a command that looks for `names`; without names, for all keys."""
    return [*command, *(["--", *map(_searched, names)] if names else [])]


def search_options(*, trust: bool) -> bytes:
    """Return the options file for such a command.

    "always" keeps gpg from creating a trust database; it still marks expired and revoked keys.
    """
    return b"utf8-strings\n" + (b"trust-model always\n" if trust else b"")


def _searched(name: str) -> str:
    """Return what gpg is asked for: angle brackets keep `alice@...` from finding `malice@...`.

    A subkey is searched without its `!`, which would hide other keys that contain it.
    """
    return f"<{name}>" if "@" in name else name.removesuffix("!")


def read_key_file(name: str, account: "Account") -> bytes:
    """Return the content of a file that a record names as a key.

    Raises FileUnsafe, or KeyNotFound: a missing key never means "not enrolled".
    """
    try:
        with acting_as(account):
            return read_safely(native(name), account, MAX_KEY)
    except NoRecord:
        from trex.openpgp.errors import KeyNotFound

        raise KeyNotFound(name, ": there is no such file") from None
