"""`trex enroll --piped`: key, challenge and response over one connection, for `trex copy-id`.

Standard input has the armored key, and later the response, a line. Standard output gets the key
that signs this user's challenges, if there is one, then the challenge; both are armored. Whatever
people read goes to standard error.
"""

from __future__ import annotations

import os
import select
import sys
from time import monotonic
from typing import TYPE_CHECKING

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.setup import keyring
from trex.cli.setup.givenfile import MAX_BYTES
from trex.cli.setup.proof import make_message
from trex.cli.terminal import answer
from trex.errors import ACCEPTED
from trex.login.challenge import RandomText
from trex.openpgp.record import parse_record
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location

INPUT = 0
END_OF_KEY = b"-----END PGP PUBLIC KEY BLOCK-----"
KEY_SECONDS = 60  # for the key to arrive
PIECE = 1 << 16  # bytes


class Pipe:
    """Standard input, read in parts, each within its time."""

    def __init__(self) -> None:
        self._kept = b""

    def read_key(self) -> bytes:
        """Return what comes up to the end of an armored key. Raises CommandError."""
        return self._read(END_OF_KEY, MAX_BYTES, KEY_SECONDS)

    def read_response(self, seconds: float) -> str:
        """Return the next line. Raises CommandError."""
        self._kept = self._kept.lstrip(b"\r\n")
        return self._read(b"\n", PIECE, seconds).decode("ascii", "replace")

    def _read(self, end: bytes, most: int, seconds: float) -> bytes:
        deadline = monotonic() + seconds
        while end not in self._kept:
            left = deadline - monotonic()
            if left <= 0 or not select.select([INPUT], [], [], left)[0]:
                raise CommandError(f"standard input: expected more within {seconds:.0f} seconds")
            more = os.read(INPUT, PIECE)
            self._kept += more
            if not more or len(self._kept) > most:
                found = "more" if more else "its end"
                raise CommandError(f"standard input: expected {end.decode()!r}, found {found}")
        part, _, self._kept = self._kept.partition(end)
        return part + end


def prove_over_pipe(location: Location, content: bytes, pipe: Pipe) -> None:
    """Show a challenge of the new record, and judge the response. Raises CommandError."""
    if signing := _signing_key(location, content):
        answer(signing)
    challenge = RandomText(location.options.timeout)
    answer(make_message(location, content, challenge))
    sys.stdout.flush()
    outcome = challenge.judge(pipe.read_response(location.options.timeout))
    if outcome is not ACCEPTED:
        raise CommandError(f"{outcome.text}: nothing was replaced")


def _signing_key(location: Location, content: bytes) -> str:
    """Return the armored public key that signs the record's challenges, "" for none."""
    name = parse_record(content, location.record, readable(location.user.home)).sign_as
    if not name:
        return ""
    return str(run_as(location.reader, lambda: keyring.exported(location.gnupg_home, name)))
