"""The challenge as an armored message: one run of gpg, and what its status lines mean.

Status lines: doc/DETAILS in GnuPG's source, "Format of the --status-fd output".
"""

import os
from contextlib import ExitStack
from time import monotonic

from trex.child import INSTRUCTIONS_FD, STATUS_FD, Filter, end_with_parent, own_children
from trex.errors import GpgFailed
from trex.privilege import acting_as, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from trex.authfile import AuthRecord
    from trex.child import Finished, Leash
    from trex.privilege import Account

    Status = dict[str, list[list[str]]]

# RFC 4880, 5.2.3.16, wants a domain in a notation's name: one that nobody can own (RFC 2606).
NOTATION = "login@trex-pam.invalid"
BEGIN, END = b"-----BEGIN PGP MESSAGE-----\n", b"-----END PGP MESSAGE-----\n"
KEYBOXD = "common.conf"  # where GnuPG 2.4 is told to keep its keys in a daemon (use-keyboxd)
PRIVATE, PUBLIC, DATABASE = "private-keys-v1.d", "public-keys.d", "pubring.db"
KEYRING = frozenset(("pubring.kbx", "pubring.gpg", "trustdb.gpg", KEYBOXD, PRIVATE, PUBLIC))

# Read nothing but the keyring, ask nobody, write nothing. The pipe in place of gpg.conf: that file
# could add recipients, rename keys (`group`) or name programs. No locks: a reader needs none, and a
# stale one must not keep the owner out.
COMMON = [
    "--options", f"/proc/self/fd/{INSTRUCTIONS_FD}", "--status-fd", str(STATUS_FD),
    "--batch", "--no-tty", "--quiet", "--lock-never", "--no-random-seed-file",
    "--no-auto-key-locate", "--no-auto-check-trustdb", "--disable-dirmngr",
    "--pinentry-mode", "error",
]  # fmt: skip
ENCRYPT = ["--armor", "--encrypt"]
SIGN_AND_ENCRYPT = ["--armor", "--sign", "--encrypt"]
LIST = ["--with-colons", "--list-keys"]


class Message:
    """An encrypted challenge, and the fingerprints of the keys that took part."""

    __slots__ = ("armored", "fingerprints")

    def __init__(self, armored: str, fingerprints: list[str]) -> None:
        self.armored = armored
        self.fingerprints = fingerprints


class Keyring:
    """A keyring that gpg lists for one login: whatever it starts ends with the `with` block."""

    def __init__(self, path: str, account: "Account", home: str, seconds: int) -> None:
        self.path = path
        self.account = account
        self.home = home
        self._contents: list[str] = []  # of the home directory
        self._deadline = monotonic() + seconds
        self._blocks = ExitStack()

    def __enter__(self) -> "Self":
        """Keep the caller's hands off what is started."""
        self._blocks.enter_context(own_children())
        return self

    def __exit__(self, *exception: object) -> None:
        """End gpg, if it has not ended."""
        self._blocks.close()

    @staticmethod
    def user_id(key: str) -> str:
        """Return gpg's exact form: angle brackets keep `alice@...` from finding `malice@...`."""
        return f"<{key}>" if "@" in key else key

    def list_key(self, key: str) -> str:
        """Return the colon listing of a public key (doc/DETAILS), "" if there is none.

        Raises FileUnsafe for a keyring that others can write, or an OpenPGPError.
        """
        self._contents = self._contents or _list_home(self.home, self.account)
        # "always" keeps gpg from making a trust database; what is expired or revoked shows still.
        start = self._start_with_daemons if KEYBOXD in self._contents else self._start_alone
        child = start([*LIST, "--", self.user_id(key)])
        child.feed(b"", b"trust-model always\n")
        return child.finish(self._deadline).output.decode("utf-8", "replace")

    def _start_alone(self, command: list[str]) -> Filter:
        """Start gpg so that it can start no daemon."""
        return self._launch([*command, "--no-autostart"], end_with_parent)

    def _start_with_daemons(self, command: list[str]) -> Filter:
        """Start gpg so that it has gpg-agent or keyboxd: an agent that runs already, or its own.

        In the account's own home nothing is started, so that no login shares what another ends.
        """
        from trex.privatehome import AGENT, PrivateHome, find_socket
        from trex.supervisor import supervised  # ctypes: 2 ms that only these logins pay

        signs = "--sign" in command
        agent = find_socket(AGENT, self.home, self.account) if signs else ""
        if agent and KEYBOXD not in self._contents:
            return self._start_alone(command)
        private = PrivateHome(self.home, self.account, agent, secret=signs)
        leash = supervised(private, self._deadline)
        return self._launch(command, leash, home=".", separate=private.separate)

    def _launch(
        self,
        command: list[str],
        leash: "Leash",
        home: str = "",
        separate: "Callable[[], None] | None" = None,
    ) -> Filter:
        child = Filter()
        self._blocks.callback(child.end)
        home = home or readable(self.home)
        child.start_filter([self.path, *COMMON, "--homedir", home, *command],
                           self.account, leash, separate)  # fmt: skip
        return child


class Gpg(Keyring):
    """gpg for one login, started by `with` and told later what to do.

    Half of its time it needs only to start. It does so while the record is parsed and the
    challenge made, and reads what depends on them from a pipe that it takes for its options file.
    """

    def __enter__(self) -> "Self":
        """Start gpg. Raises NotStarted where no process can be had."""
        try:
            super().__enter__()
            self._child = self._start_alone(ENCRYPT)
        except BaseException:
            self._blocks.close()
            raise
        return self

    def encrypt(self, plaintext: bytes, record: "AuthRecord", context: str) -> None:
        """Have gpg encrypt to all of the record's recipients, and sign where it says so.

        Raises FileUnsafe for a keyring that others can write, or an OpenPGPError. Nothing of it was
        read before: gpg waits for its instructions.
        """
        self._record = record
        self._contents = _list_home(self.home, self.account)
        _check_home(self._contents, record, self.home)
        if record.sign_as or KEYBOXD in self._contents:  # for these gpg needs a daemon: begin again
            self._child.end()
            command = SIGN_AND_ENCRYPT if record.sign_as else ENCRYPT
            self._child = self._start_with_daemons(command)
        self._child.feed(plaintext, _instructions(record, context))

    def message(self) -> Message:
        """Wait for what `encrypt` has begun.

        Raises a KeyUnusable that names the key, or another OpenPGPError.
        """
        finished = self._child.finish(self._deadline)
        status = parse_status(finished.status)
        if _is_complete(finished, status, self._record):
            return Message(finished.output.decode("ascii"), _fingerprints(status))
        from trex.diagnosis import diagnose  # needed only where a login fails

        raise diagnose(status, self._record, self)


def _instructions(record: "AuthRecord", context: str) -> bytes:
    """Return lines for an options file (gpg(1)): no value in them can hold a newline."""
    lines = ["utf8-strings", f"set-filename {context}"]
    lines += [f"recipient {Gpg.user_id(recipient)}" for recipient in record.recipients]
    if record.trust:
        lines.append("trust-model always")
    if record.sign_as:
        notation = context.replace("%", "%%")
        lines.append(f"local-user {Gpg.user_id(record.sign_as)}")
        lines.append(f"sig-notation {NOTATION}={notation}")
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _is_complete(finished: "Finished", status: "Status", record: "AuthRecord") -> bool:
    """Tell whether there is a whole message, and a signature in it if one was asked for."""
    done = ("END_ENCRYPTION", "SIG_CREATED") if record.sign_as else ("END_ENCRYPTION",)
    plain = finished.output.isascii() and finished.output.replace(b"\n", b"").decode().isprintable()
    return (
        finished.code in (0, None)
        and plain  # it is written to a terminal
        and finished.output.startswith(BEGIN)
        and finished.output.endswith(END)
        and all(keyword in status for keyword in done)
        and "FAILURE" not in status
    )


def _list_home(home: str, account: "Account") -> list[str]:
    """Return the names in gpg's home directory, if only `account` or root can write the keyring."""
    from trex.safefile import check_directories, check_writers  # while gpg starts

    with acting_as(account):
        try:
            check_directories(home, account)
            present = os.listdir(home)
            for name in KEYRING.intersection(present):
                check_writers(os.path.join(home, name), account)
            if PUBLIC in present and DATABASE in os.listdir(os.path.join(home, PUBLIC)):
                check_writers(os.path.join(home, PUBLIC, DATABASE), account)
            return present
        except OSError as error:
            raise GpgFailed(f"{readable(home)}: no keyring: {error.strerror}") from None


def _check_home(present: list[str], record: "AuthRecord", home: str) -> None:
    """See to it that gpg finds its files: it would make them, and nothing in a home may change."""
    if not {"pubring.kbx", "pubring.gpg", KEYBOXD}.intersection(present):
        from trex.keyerrors import KeyNotFound

        raise KeyNotFound(record.recipients[0], f": {readable(home)} has no keyring")
    if not record.trust and "trustdb.gpg" not in present:
        from trex.keyerrors import KeyNotTrusted

        raise KeyNotTrusted(record.recipients[0], f": {readable(home)} has no trustdb.gpg")


def parse_status(text: bytes) -> "Status":
    """Return `{keyword: [arguments, ...]}` of the lines that start with `[GNUPG:]`."""
    lines: Status = {}
    for line in text.decode("utf-8", "replace").split("\n"):
        prefix, *words = line.split(" ")
        if prefix == "[GNUPG:]" and words:
            lines.setdefault(words[0], []).append(words[1:])
    return lines


def _fingerprints(status: "Status") -> list[str]:
    return list(dict.fromkeys(words[0] for words in status.get("KEY_CONSIDERED", []) if words))
