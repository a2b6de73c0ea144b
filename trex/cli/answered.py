"""Each challenge gets one answer: an empty file for each that got it, named by its digest.

Making the file is the test, so that of two processes one wins. It tells which message was
answered, and nothing about what is in it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from hashlib import sha256

from trex.cli.context import MOST_AHEAD
from trex.cli.errors import Refused, StoreError
from trex.cli.store import directory, make_directory


def claim(message: bytes) -> None:
    """Note that `message` is answered now. Raises Refused if it was before, or StoreError."""
    place = os.path.join(directory("XDG_STATE_HOME", ".local/state"), "answered")
    try:
        make_directory(place)
        _forget_old(place)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(os.path.join(place, sha256(message).hexdigest()), flags, 0o600))
    except FileExistsError:
        raise Refused("this challenge was answered before, and each gets one answer") from None
    except OSError as error:
        raise StoreError(f"{place}: cannot be written: {error.strerror}") from None


def _forget_old(place: str) -> None:
    """Delete what is older than any challenge that would still be answered."""
    oldest = time.time() - 2 * MOST_AHEAD.total_seconds()
    for entry in os.scandir(place):
        with suppress(FileNotFoundError):  # another process was quicker
            if entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)
