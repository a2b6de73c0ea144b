"""Each challenge is answered once: an empty file, named by its digest, marks each answered one.

Creating the file is the test, so of two processes only one wins. `trex-askpass` and `trex respond`
share the directory. The digest is of encrypted text: it identifies the challenge and reveals
nothing of its content.
"""

from __future__ import annotations

import os
import time

from trex.cli.client.context import MOST_AHEAD
from trex.cli.client.store import make_directory, own_directory
from trex.cli.errors import Refused, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.cli.client.packets import Sealed


def check_new(*messages: Sealed) -> None:
    """Raise Refused if each of these challenges was answered before. This uses no key."""
    directory = _directory()
    if all(os.path.exists(os.path.join(directory, one.digest)) for one in messages):
        raise _answered()


def claim(sealed: Sealed) -> None:
    """Mark a challenge as answered. Raises Refused if it was answered before, or StoreError."""
    directory = _directory()
    try:
        make_directory(directory)
        _forget_old(directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(os.path.join(directory, sealed.digest), flags, 0o600))
    except FileExistsError:
        raise _answered() from None
    except OSError as error:
        raise StoreError(f"{directory}: cannot be written: {error.strerror}") from None


def release(sealed: Sealed) -> None:
    """Undo a claim, if nobody got the answer."""
    try:
        os.unlink(os.path.join(_directory(), sealed.digest))
    except OSError:
        return


def _directory() -> str:
    return os.path.join(own_directory("XDG_STATE_HOME", ".local/state"), "answered")


def _answered() -> Refused:
    return Refused("this challenge was answered before, and each is answered once")


def _forget_old(directory: str) -> None:
    """Delete the files of challenges that have expired."""
    oldest = time.time() - 2 * MOST_AHEAD.total_seconds()
    for entry in os.scandir(directory):
        try:
            if entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)
        except FileNotFoundError:  # another process has deleted it
            continue
