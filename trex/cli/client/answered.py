"""Each challenge gets one answer: an empty file for each that got it, named by its digest.

Making the file is the test, so that of two processes one wins: `trex-askpass` and `trex respond`
have one record. The digest is one of encrypted text: it tells which challenge was answered, and
nothing about what is in it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.client.context import MOST_AHEAD
from trex.cli.client.store import directory, make_directory
from trex.cli.errors import Refused, StoreError

if TYPE_CHECKING:
    from trex.cli.client.packets import Sealed


def check_new(sealed: Sealed) -> None:
    """Raise Refused for a challenge that was answered: no key need be used to see that."""
    if os.path.exists(os.path.join(_place(), sealed.digest)):
        raise _answered()


def claim(sealed: Sealed) -> None:
    """Note that a challenge is answered now. Raises Refused if it was before, or StoreError."""
    place = _place()
    try:
        make_directory(place)
        _forget_old(place)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(os.path.join(place, sealed.digest), flags, 0o600))
    except FileExistsError:
        raise _answered() from None
    except OSError as error:
        raise StoreError(f"{place}: cannot be written: {error.strerror}") from None


def release(sealed: Sealed) -> None:
    """Take a claim back where the answer came to nobody."""
    with suppress(OSError):
        os.unlink(os.path.join(_place(), sealed.digest))


def _place() -> str:
    return os.path.join(directory("XDG_STATE_HOME", ".local/state"), "answered")


def _answered() -> Refused:
    return Refused("this challenge was answered before, and each gets one answer")


def _forget_old(place: str) -> None:
    """Delete what is older than any challenge that would still be answered."""
    oldest = time.time() - 2 * MOST_AHEAD.total_seconds()
    for entry in os.scandir(place):
        with suppress(FileNotFoundError):  # another process was quicker
            if entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)
