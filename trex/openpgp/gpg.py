"""Encrypting the challenge into an armored message: one run of gpg, and its status lines."""

from time import monotonic

from trex.errors import OpenPGPError
from trex.openpgp.keyring import (
    KEYBOXD,
    LIST,
    NO_HOME,
    NO_KEYRING,
    Keyring,
    check_home,
    end_all,
    list_home,
    read_key_file,
    search_for,
    search_options,
)
from trex.openpgp.record import is_file
from trex.system.filter import KEYS_FD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from trex.openpgp.diagnosis import Status
    from trex.openpgp.keylist import Key
    from trex.openpgp.keyring import GpgProcess
    from trex.openpgp.recipients import Chosen
    from trex.openpgp.record import AuthRecord
    from trex.system.filter import Finished

    Result = TypeVar("Result")

BEGIN, END = b"-----BEGIN PGP MESSAGE-----\n", b"-----END PGP MESSAGE-----\n"

ENCRYPT = ["--armor", "--encrypt"]
SIGN_AND_ENCRYPT = ["--armor", "--sign", "--encrypt"]
ATTEMPTS = 8  # while somebody imports keys
EXPORT = ["--export-options", "export-minimal,no-export-attributes", "--export"]


class Message:
    """An encrypted challenge, and the names of its keys for the log."""

    __slots__ = ("armored", "keys")

    def __init__(self, armored: str, keys: list[str]) -> None:
        self.armored = armored
        self.keys = keys


class Gpg(Keyring):
    """gpg for one login: one lists the record's keys, and one encrypts to them.

    Starting takes half of their time, so both start before their instructions are known, which they
    read from a pipe that is their options file.
    """

    people = 1  # how many have to answer what it encrypts

    def look_up(self, record: "AuthRecord") -> None:
        """Start to look up the record's keys, and the gpg that will encrypt.

        Raises FileUnsafe for a keyring or key file that others can write, NotStarted if there can
        be no process, or an OpenPGPError.
        """
        if record.needed > self.people:
            raise RuntimeError("a record for two people takes another gpg (method.gpg_for)")
        self._record = record
        self.leaves_out = record.leaves_out  # keys that cannot be used
        self._unfit: dict[str, OpenPGPError] = {}  # by name: found out when gpg made no message
        self._persist(self._look_up)

    def _look_up(self) -> None:
        record = self._record
        end_all(self._started)  # of an attempt before
        self._rings = self.identify_rings()
        self.warnings: list[str] = []
        self.left_out: dict[str, OpenPGPError] = {}  # by name in the record, and why
        self._files = self._read_files()
        names = [name for name in record.recipients if not is_file(name)]
        names += [record.sign_as] if record.sign_as else []
        # The one that lists is waited for first.
        self._listing = self.start_alone(search_for(LIST, names)) if names else None
        self._child = self.start_alone(ENCRYPT, keys=1)
        if self._listing:
            self.contents = list_home(self.home, self.account)
            check_home(self.contents, record, self.home)
            self._let_list(self._listing, names)

    def _read_files(self) -> dict[str, bytes]:
        """Return the key files. Raises FileUnsafe, or KeyNotFound unless that is left out."""
        found = {}
        for name in filter(is_file, self._record.recipients):
            try:
                found[name] = read_key_file(name, self.account)
            except OpenPGPError as fault:
                if not self.leaves_out:
                    raise
                self._unfit[name] = fault
        return found

    def _let_list(self, listing: "GpgProcess", names: list[str]) -> None:
        """Have the started gpg list keys, or another one if it takes a daemon."""
        trust = self._record.trust
        if KEYBOXD in self.contents:
            listing.end()
            self._listing = self.search(LIST, names, trust=trust)
        else:
            listing.feed(b"", search_options(trust=trust))

    def encrypt(self, plaintext: bytes, context: str) -> None:
        """Have gpg encrypt to the record's keys, and sign if the record says so.

        gpg gets nothing before these keys are known. Raises a KeyUnusable that names the key, or
        another OpenPGPError.
        """
        self._told = plaintext, context
        self._persist(self._encrypt, self._look_up)

    def _encrypt(self) -> None:
        plaintext, context = self._told
        self._find_keys()
        self._feed(self.chosen, plaintext, context)

    def _find_keys(self) -> None:
        self._choose()
        if self._needs_blocks():
            self._take_blocks()

    def _feed(self, recipients: "list[Chosen]", plaintext: bytes, context: str) -> None:
        """Have the started gpg, or another one, encrypt to these keys alone."""
        blocks = [one.block for one in recipients if one.block]
        self._restart(len(blocks))
        self._child.feed(plaintext, self._instructions(recipients, context), blocks)

    def message(self) -> Message:
        """Wait for the message that `encrypt` started, and check it.

        Raises WrongRecipients or WrongSigner, or another OpenPGPError.
        """
        return self._persist(self._message, self._look_up, self._encrypt)

    def _message(self) -> Message:
        armored = self._finish(self._child, self.chosen)
        if armored is None:
            return self._message()
        return Message(armored, [one.asked for one in self._taking_part()])

    def _finish(self, child: "GpgProcess", recipients: "list[Chosen]") -> str | None:
        """Return the message to these keys, None where all begins anew, without some."""
        from trex.openpgp.keylist import parse_status

        finished = child.finish(self.deadline)
        status = parse_status(finished.status)
        if not _is_complete(finished, status, signed=bool(self.signer)):
            self._leave_out_or_raise(status)
            return None
        from trex.openpgp.recipients import check_message

        armored = finished.output.decode("ascii")
        check_message(armored, _words(status, "KEY_CONSIDERED", 0), recipients, self.signer,
                      _words(status, "SIG_CREATED", 5))  # fmt: skip
        return armored

    def _leave_out_or_raise(self, status: "Status") -> None:
        """Encrypt once more, without the keys because of which gpg made no message.

        It has listed no key in a file. Raises the reason where nothing may be left out.
        """
        from trex.openpgp.diagnosis import diagnose, faults_of  # needed only if a login fails

        faults = dict(faults_of(status, self)) if self.leaves_out else {}
        left = [one for one in self.chosen if one.name not in faults]
        if not faults or len(left) < self._record.needed:
            raise diagnose(status, self)
        self._unfit |= faults
        self._look_up()
        self._encrypt()

    def _persist(self, step: "Callable[[], Result]", *before: "Callable[[], None]") -> "Result":
        """Return what a step does; if it fails and the keyring was replaced, begin again.

        gpg replaces it for each key that it imports. Whoever is confined can open only the file
        that was there before.
        """
        attempt = 0
        while True:
            try:
                if attempt:
                    for earlier in before:
                        earlier()
                return step()
            except OpenPGPError:
                attempt += 1
                late = attempt == ATTEMPTS or monotonic() >= self.deadline
                if late or self._rings == self.identify_rings():
                    raise

    def _choose(self) -> None:
        """Choose the record's keys from gpg's listing and the key files."""
        import trex.openpgp.recipients  # noqa: F401 (needed behind the listing; gpg runs meanwhile)

        self.keys = self._parsed(self._listing) if self._listing else []
        try:
            self._choose_among(self.keys, leaves_out=self.leaves_out and not self._knows_one_of_two)
        except OpenPGPError:
            if not self._knows_one_of_two:
                raise
            self.keys = self._parsed(self.search(LIST, [], trust=self._record.trust))
            self._choose_among(self.keys, leaves_out=self.leaves_out)

    def _parsed(self, listing: "GpgProcess") -> "list[Key]":
        """Return the keys of a listing, with those user ids that the record names."""
        from trex.openpgp.keylist import Sieve, parse_listing

        sieve = Sieve([*self._record.recipients, self._record.sign_as or ""])
        return parse_listing(self.listed(listing, sieve))

    @property
    def _knows_one_of_two(self) -> bool:
        """Tell whether a search may find one key of two: keyboxd's index has one for a fingerprint.

        If another key contains a copy of a subkey, that is the key imported last.
        """
        return KEYBOXD in self.contents

    def _choose_among(self, keys: "list[Key]", *, leaves_out: bool) -> None:
        from trex.openpgp.recipients import choose, choose_signer, copies_of, from_file

        record = self._record
        self.warnings = copies_of([*record.recipients, record.sign_as], keys)
        self.chosen, self.left_out = [], dict(self._unfit)
        for name in record.recipients:
            try:
                if name in self._files and name not in self._unfit:
                    self.chosen.append(from_file(name, self._files[name]))
                elif name not in self._unfit:
                    self.chosen.append(choose(name, keys, trust=record.trust))
            except OpenPGPError as fault:
                if not leaves_out:
                    raise
                self.left_out[name] = fault
        if len(self.chosen) < record.needed:
            raise next(self.left_out[name] for name in record.recipients if name in self.left_out)
        self.signer = choose_signer(record.sign_as, keys) if record.sign_as else None

    def _needs_blocks(self) -> bool:
        """Tell whether gpg must not search: it might find other keys, or start a daemon.

        Only the keys that a fingerprint finds have been listed completely.
        """
        return bool(
            self.signer or self.warnings or KEYBOXD in self.contents
            or any("@" in one.name or one.block for one in self.chosen)
        )  # fmt: skip

    def _take_blocks(self) -> None:
        """Export the keys from the keyring, to give gpg exactly these."""
        from trex.openpgp.recipients import take_blocks

        wanted = [one for one in self._taking_part() if not one.block]
        if not wanted:
            return
        try:
            names = list(dict.fromkeys(one.fingerprint for one in wanted))
            take_blocks(wanted, self.finish(self.search(EXPORT, names)))
        except OpenPGPError:
            if not self._knows_one_of_two:
                raise
            take_blocks(wanted, self.finish(self.search(EXPORT, [])))

    def _taking_part(self) -> "list[Chosen]":
        return [*self.chosen, *([self.signer] if self.signer else [])]

    def _restart(self, keys: int) -> None:
        """Start another gpg if the one that was started does not fit."""
        if self.signer:
            self._child.end()
            # It finds a signing key by its fingerprint, which other keys may contain.
            self._child = self.start_with_daemons(SIGN_AND_ENCRYPT, keys, self.signer.block)
        elif keys > self._child.room or KEYBOXD in self.contents:
            self._child.end()
            self._child = self.start_alone(ENCRYPT, keys, NO_HOME)

    def _instructions(self, recipients: "list[Chosen]", context: str) -> bytes:
        """Return lines for an options file (gpg(1)): no value in them can hold a newline."""
        lines = ["utf8-strings", f"set-filename {context}"]
        given = [one for one in recipients if one.block]
        lines += [f"recipient-file /proc/self/fd/{KEYS_FD + n}" for n, _ in enumerate(given)]
        if given and not self.signer:
            lines += NO_KEYRING
        lines += [f"recipient {one.asked}" for one in recipients if not one.block]
        if self._record.trust or given:  # whether keys are vouched for was checked before
            lines.append("trust-model always")
        if self.signer:
            from trex.openpgp.prompt import NOTATION

            notation = context.replace("%", "%%")
            lines.append(f"local-user {self.signer.asked}")
            lines.append(f"sig-notation {NOTATION}={notation}")
        return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _is_complete(finished: "Finished", status: "Status", *, signed: bool) -> bool:
    """Tell whether the message is complete, with a signature if one was asked for."""
    done = ("END_ENCRYPTION", "SIG_CREATED") if signed else ("END_ENCRYPTION",)
    plain = finished.output.isascii() and finished.output.replace(b"\n", b"").decode().isprintable()
    return (
        finished.code in (0, None)
        and plain  # it goes to a terminal
        and finished.output.startswith(BEGIN)
        and finished.output.endswith(END)
        and all(keyword in status for keyword in done)
        and "FAILURE" not in status
    )


def _words(status: "Status", keyword: str, index: int) -> set[str]:
    """Return the word at one index of all lines with a keyword."""
    return {words[index] for words in status.get(keyword, []) if len(words) > index}
