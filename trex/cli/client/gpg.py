"""gpg as the client runs it: python-gnupg, with complete status lines on a pipe of their own."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import gnupg

from trex.cli.errors import CommandError
from trex.errors import cut
from trex.openpgp.gpg import parse_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    Status = dict[str, list[list[str]]]  # gpg's status lines by keyword (doc/DETAILS)

# The agent may ask the user. gpg fetches no key, imports none from a message, and starts no daemon.
# Only the encryption is removed: `trex.cli.client.signature` reads what is inside.
DECRYPT = [
    "--unwrap", "--pinentry-mode", "ask", "--no-auto-key-retrieve", "--no-auto-key-import",
    "--disable-dirmngr", "--no-symkey-cache", "--no-autostart",
]  # fmt: skip
PATIENCE = 600  # seconds, for a passphrase to be typed or a token to be touched
# A message of 32 KiB can hold many GB of compressed data. A decryption takes some hundredths of a
# second. The agent, which uses the secret key, is already running and does not have these limits.
CPU_SECONDS, MEMORY_KIB = 5, 256 << 10
LIMITED = f'ulimit -S -t {CPU_SECONDS}; ulimit -S -d {MEMORY_KIB}; exec "$@"'
MAX_LINES = 1 << 20  # bytes of status lines
MAX_WORDS, MAX_SHOWN = 4096, 200  # bytes of gpg's messages to people; characters quoted of them
KEY_ID = re.compile(r"[0-9A-F]{1,64}")  # in status lines
FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?")  # of a key of version 4, or 5
OWN = b"gpg: "
STATUS = b"[GNUPG:] "
PASSPHRASE = b"NEED_PASSPHRASE_SYM"  # for a message within the message; gpg would go on and ask

# python-gnupg writes what gpg decrypts to its debug log.
logging.getLogger("gnupg").disabled = True


class Decrypted(gnupg.Crypt):  # type: ignore[misc]  # python-gnupg has no types
    """The result of a run: `data`, `returncode`, and every status line in `lines`.

    python-gnupg drops the lines that hold a message's file name and notations.
    """

    returncode: int

    def __init__(self, gpg: UserGpg) -> None:
        super().__init__(gpg)
        self.lines = b""
        self.told = b""  # the end of gpg's messages to people

    @property
    def said(self) -> Status:
        """Return the status lines by keyword (doc/DETAILS)."""
        return parse_status(self.lines)

    @property
    def ended(self) -> bool:
        """Whether gpg was stopped by a limit: processor time, memory, or the deadline."""
        return self.returncode in (-signal.SIGXCPU, -signal.SIGKILL)

    @property
    def words(self) -> str:
        """Return gpg's own error message, after `: `, or "" if there is none.

        It is cut, but not escaped: the code that prints an error escapes it.
        """
        own = [line[len(OWN) :] for line in self.told.splitlines() if line.startswith(OWN)]
        last = b"; ".join(dict.fromkeys(own[-2:])).decode("utf-8", "replace")
        return f": gpg says: {cut(last, MAX_SHOWN)}" if last else ""


class UserGpg(gnupg.GPG):  # type: ignore[misc]  # as above
    """The user's own gpg; without `settings` (python-gnupg's), with the user's configuration."""

    def __init__(self, **settings: Any) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        self._words: _End | None = None
        self._limit: list[str] = []
        self._watch: Callable[[bytes], None] | None = None
        program = shutil.which("gpg")
        if not program:
            raise CommandError("there is no gpg on PATH", "install GnuPG (Debian: gnupg)")
        try:
            super().__init__(gpgbinary=os.path.abspath(program), **settings)
        except (OSError, ValueError):
            raise CommandError(f"{program} does not work", "gpg --version") from None
        self.encoding = "utf-8"
        self.decode_errors = "replace"  # old user ids
        self.result_map: dict[str, Any] = {**gnupg.GPG.result_map, "crypt": Decrypted}

    def unwrap(self, message: bytes, watch: Callable[[bytes], None]) -> Decrypted:
        """Remove the encryption: `data` is the content, signed or not, still as packets.

        `watch` is called with each status line as it arrives, in another thread.
        """
        self._watch = watch
        return self.run_decrypt(message, DECRYPT, PATIENCE)

    def run_decrypt(self, message: bytes, options: list[str], seconds: float) -> Decrypted:
        """Run `gpg --decrypt`, with limits on processor time and memory.

        gpg is killed when this function ends for any reason, after `seconds`, and if it asks for a
        passphrase for the message itself. No agent is started: it would inherit the limits.
        """
        self._limit = ["/bin/sh", "-c", LIMITED, "sh"]
        alarm = threading.Timer(seconds, self.end)
        alarm.daemon = True
        alarm.start()
        try:
            result: Decrypted = self.decrypt(message, extra_args=options)
        finally:
            alarm.cancel()
            self.end()
        return result

    def list_secret(self) -> str:
        """Return a colon listing of the secret keys, and start the agent. Raises CommandError."""
        process = self._open_subprocess(["--list-secret-keys", "--no-auto-check-trustdb"])
        result: Decrypted = self.result_map["crypt"](self)
        self._collect_output(process, result, stdin=process.stdin)
        if result.returncode != 0:
            raise CommandError(f"your secret keys could not be listed{result.words}", "gpg -K")
        listing: bytes = result.data
        return listing.decode("utf-8", "replace")

    def end(self) -> None:
        """Kill gpg if it is still running; the agent then closes its pinentry."""
        if self._running and self._running.poll() is None:
            self._running.kill()
            self._running.wait()

    def _open_subprocess(self, args: list[str], passphrase: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Start gpg with a pipe for its status lines, which python-gnupg reads as standard error.

        On a pipe of their own they cannot be confused with gpg's messages to people.
        """
        command = self.make_args(args, passphrase)
        reading, writing = os.pipe()
        command[command.index("--status-fd") + 1] = str(writing)
        try:
            process = subprocess.Popen(  # noqa: S603 (a list of arguments, an absolute path)
                [*self._limit, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, pass_fds=[writing],
            )  # fmt: skip
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        told, process.stderr = process.stderr, os.fdopen(reading, "rb")
        self._words = _End(told) if told else None
        self._running = process
        return process

    def _read_response(self, stream: Any, result: Any) -> None:
        """Keep the lines as bytes.

        python-gnupg's reader also breaks lines at U+0085 and U+2028, which gpg does not escape:
        a key's user id could contain status lines about a signature.
        """
        if not isinstance(result, Decrypted):
            super()._read_response(stream, result)
            return
        for line in iter(stream.stream.readline, b""):
            result.lines += line
            if line.startswith(STATUS + PASSPHRASE) or len(result.lines) > MAX_LINES:
                self.end()
            if self._watch:
                self._watch(line)
        if self._words:
            result.told = self._words.read()


class _End(threading.Thread):
    """A thread that reads a stream to its end, and keeps the last bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._kept = b""
        self.start()

    def run(self) -> None:
        with self._stream:
            while more := os.read(self._stream.fileno(), MAX_WORDS):
                self._kept = (self._kept + more)[-MAX_WORDS:]

    def read(self) -> bytes:
        """Return the last bytes of the stream, once it has ended."""
        self.join()
        return self._kept
