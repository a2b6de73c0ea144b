"""gpg as the client runs it: python-gnupg, with the status lines kept whole and apart."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import threading
from typing import Any

import gnupg

from trex.cli.errors import ClientError
from trex.openpgp import parse_status

# The agent may ask the user; nobody else is asked anything, and nothing is learnt from a message.
# Only the encryption is taken away: what is inside is read by `trex.cli.signature`.
DECRYPT = [
    "--unwrap", "--pinentry-mode", "ask", "--no-auto-key-retrieve", "--no-auto-key-import",
    "--disable-dirmngr", "--no-symkey-cache",
]  # fmt: skip
PATIENCE = 600  # seconds, for a passphrase to be typed or a token to be touched

# python-gnupg writes what gpg decrypts to its debug log.
logging.getLogger("gnupg").disabled = True


class Decrypted(gnupg.Crypt):  # type: ignore[misc]  # python-gnupg has no types
    """What came of a decryption: `data`, and every status line in `lines`.

    python-gnupg drops the lines that say what a message is for.
    """

    def __init__(self, gpg: Gpg) -> None:
        super().__init__(gpg)
        self.lines = b""

    @property
    def said(self) -> dict[str, list[list[str]]]:
        """Return the status lines by keyword (doc/DETAILS)."""
        return parse_status(self.lines)


class Gpg(gnupg.GPG):  # type: ignore[misc]  # as above
    """The user's own gpg; without `settings` (python-gnupg's), the user's own configuration too."""

    def __init__(self, **settings: Any) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        program = shutil.which("gpg")
        if not program:
            raise ClientError("there is no gpg on PATH", "install GnuPG (Debian: gnupg)")
        try:
            super().__init__(gpgbinary=os.path.abspath(program), **settings)
        except (OSError, ValueError):
            raise ClientError(f"{program} does not work", "gpg --version") from None
        self.encoding = "utf-8"
        self.decode_errors = "replace"  # old user ids
        self.result_map: dict[str, Any] = {**gnupg.GPG.result_map, "crypt": Decrypted}

    def open_message(self, message: bytes) -> Decrypted:
        """Take the encryption away: `data` is what was signed, or not, still as packets."""
        return self.run_decrypt(message, DECRYPT, PATIENCE)

    def run_decrypt(self, message: bytes, options: list[str], seconds: float) -> Decrypted:
        """Run `gpg --decrypt`; gpg is ended with whatever ends this, and after so many seconds."""
        alarm = threading.Timer(seconds, self.end)
        alarm.daemon = True
        alarm.start()
        try:
            result: Decrypted = self.decrypt(message, extra_args=options)
        finally:
            alarm.cancel()
            self.end()
        return result

    def end(self) -> None:
        """End gpg if it still runs; the agent takes back what it asks then."""
        if self._running and self._running.poll() is None:
            self._running.kill()
            self._running.wait()

    def _open_subprocess(self, args: list[str], passphrase: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Start gpg with a pipe for its status lines in the place of standard error.

        There they cannot be mixed up with what gpg tells people.
        """
        command = self.make_args(args, passphrase)
        reading, writing = os.pipe()
        command[command.index("--status-fd") + 1] = str(writing)
        try:
            process = subprocess.Popen(  # noqa: S603 (a list of arguments, an absolute path)
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, pass_fds=[writing],
            )  # fmt: skip
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        process.stderr = os.fdopen(reading, "rb")
        self._running = process
        return process

    def _read_response(self, stream: Any, result: Any) -> None:
        """Keep the lines as bytes.

        python-gnupg's reader would also break lines at U+0085 or U+2028, which gpg does not
        escape: a key's user id could hold status lines about a signature.
        """
        if isinstance(result, Decrypted):
            result.lines = stream.stream.read()
        else:
            super()._read_response(stream, result)
