"""gpg as the client runs it, with the user's configuration, or alone with one key."""

from __future__ import annotations

from trex.cli.client.child import RunningProgram
from trex.cli.errors import CommandError
from trex.cli.programs import find_program
from trex.errors import cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import SIGKILL, SIGXCPU
    from typing import Protocol

    class Watch(Protocol):
        """Who follows a gpg that may wait for the user: `trex.cli.client.waiting`."""

        seconds: float

        def hear(self, line: bytes) -> None:
            """Process a status line."""

        def show(self) -> None:
            """Be told that gpg has not ended after `seconds`."""

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    Status = dict[str, list[list[str]]]  # gpg's status lines by keyword (doc/DETAILS)
else:  # signal.py takes 3 ms to build enumerations
    from _signal import SIGKILL, SIGXCPU

COMMON = ["--status-fd", "{status}", "--no-tty", "--no-verbose", "--batch"]
LIST = ["--fixed-list-mode", "--with-colons", "--no-auto-check-trustdb"]
# The agent may ask the user. gpg fetches no key, imports none from a message, and starts no daemon.
# Only the encryption is removed: `trex.cli.client.signature` reads what is inside.
DECRYPT = [
    "--unwrap", "--pinentry-mode", "ask", "--no-auto-key-retrieve", "--no-auto-key-import",
    "--disable-dirmngr", "--no-symkey-cache", "--no-autostart",
]  # fmt: skip
PATIENCE = 600  # seconds, for a passphrase to be typed or a token to be touched
LIST_SECONDS = 120  # the agent starts meanwhile, and may look for a card
# A message of 32 KiB can hold many GB of compressed data. A decryption takes some hundredths of a
# second. The agent, which uses the secret key, is already running and does not have these limits.
CPU_SECONDS, MEMORY_KIB = 5, 256 << 10
LIMITED = f'ulimit -S -t {CPU_SECONDS}; ulimit -S -d {MEMORY_KIB}; exec "$@"'
MAX_LINES = 1 << 20  # bytes of status lines
MAX_SHOWN = 200  # characters that are quoted of gpg's messages to people
OWN = b"gpg: "
PASSPHRASE = b"[GNUPG:] NEED_PASSPHRASE_SYM"  # for a message within the message; gpg would ask


class Decrypted:
    """What a gpg has made of something: `data`, `returncode`, and every status line in `lines`."""

    def __init__(self, data: bytes, lines: bytes = b"", told: bytes = b"", code: int = 0) -> None:
        self.data = data
        self.lines = lines
        self.told = told  # the end of gpg's messages to people
        self.returncode = code

    @property
    def said(self) -> Status:
        """Return the status lines by keyword (doc/DETAILS)."""
        from trex.openpgp.keylist import parse_status  # gpg is started before this is imported

        return parse_status(self.lines)

    @property
    def ended(self) -> bool:
        """Whether gpg was stopped by a limit: processor time, memory, or the deadline."""
        return self.returncode in (-SIGXCPU, -SIGKILL)

    @property
    def words(self) -> str:
        """Return gpg's own error message, after `: `, or "" if there is none.

        It is cut, but not escaped: the code that prints an error escapes it.
        """
        own = [line[len(OWN) :] for line in self.told.splitlines() if line.startswith(OWN)]
        last = b"; ".join(dict.fromkeys(own[-2:])).decode("utf-8", "replace")
        return f": gpg says: {cut(last, MAX_SHOWN)}" if last else ""


class UserGpg:
    """The user's own gpg; without `options`, with the user's configuration and keyring.

    Raises CommandError if there is none.
    """

    def __init__(self, *options: str) -> None:
        self.program = find_program("gpg")
        if not self.program:
            raise CommandError("there is no gpg on PATH", "install GnuPG (Debian: gnupg)")
        self._options = options

    def unwrap(self, message: bytes, waiting: Watch) -> Decrypted:
        """Remove the encryption: `data` is the content, signed or not, still as packets."""
        return self.run_decrypt(message, DECRYPT, PATIENCE, waiting)

    def run_decrypt(
        self, message: bytes, options: list[str], seconds: float, waiting: Watch | None = None
    ) -> Decrypted:
        """Run `gpg --decrypt`, with limits on processor time and memory.

        gpg is killed when this function ends for any reason, after `seconds`, and if it asks for a
        passphrase for the message itself. No agent is started: it would inherit the limits.
        """
        limited = ["/bin/sh", "-c", LIMITED, "sh"]
        child = self._start([*options, "--decrypt"], message, limited)
        hear = _ending(child, waiting.hear if waiting else None)
        if waiting:
            with waiting:
                child.finish(seconds, hear, waiting.seconds, waiting.show)
        else:
            child.finish(seconds, hear)
        return _result(child)

    def start_listing(self) -> RunningProgram:
        """Start to list the secret keys, and the agent; `listed` waits for them."""
        return self._start([*LIST, "--list-secret-keys"])

    def listed(self, child: RunningProgram) -> str:
        """Return the colon listing of the secret keys. Raises CommandError."""
        child.finish(LIST_SECONDS)
        result = _result(child)
        if result.returncode != 0:
            raise CommandError(f"your secret keys could not be listed{result.words}", "gpg -K")
        return result.data.decode("utf-8", "replace")

    def list_public(self, *names: str) -> str:
        """Return the colon listing of the keys with these names, of all without any."""
        child = self._start([*LIST, "--list-keys", "--", *names])
        child.finish(LIST_SECONDS)
        return child.output.decode("utf-8", "replace")

    def export(self, name: str) -> bytes:
        """Return the public keys with a name, b"" if there are none."""
        child = self._start(["--export", "--", name])
        child.finish(LIST_SECONDS)
        return child.output

    def _start(
        self, arguments: list[str], given: bytes = b"", before: list[str] | None = None
    ) -> RunningProgram:
        command = [*(before or []), self.program, *COMMON, *self._options, *arguments]
        try:
            return RunningProgram(command, given)
        except OSError as error:
            raise CommandError(f"{self.program}: {error.strerror}", "gpg --version") from None


def _ending(child: RunningProgram, hear: Callable[[bytes], None] | None) -> Callable[[bytes], None]:
    """Return what hears gpg's status lines: it ends gpg if it goes too far."""

    def heard(line: bytes) -> None:
        if line.startswith(PASSPHRASE) or child.status_size > MAX_LINES:
            child.end()
        if hear:
            hear(line)

    return heard


def _result(child: RunningProgram) -> Decrypted:
    code = child.returncode
    return Decrypted(child.output, child.status, child.words, -SIGKILL if code is None else code)
