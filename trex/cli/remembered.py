"""Ending the grace periods of users, for every command that takes a way in from somebody."""

from __future__ import annotations

import os

from trex.cli.errors import CommandError
from trex.login.gracefile import PLACE, forget_successes


def end_grace(uid: int | None) -> int:
    """Forget the successes of one uid, or of all; return how many there were.

    They are root's: as another account nothing is done, and a changed record ends them by itself.
    Raises CommandError.
    """
    if os.geteuid() != 0:
        return 0
    try:
        return forget_successes(uid)
    except OSError as error:
        raise CommandError(
            f"grace periods could not be ended: {error.filename}: {error.strerror}",
            f"rm -r {PLACE}",
        ) from None
