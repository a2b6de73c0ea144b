"""Why a recovery code could not be accepted; see `trex.errors`."""

from trex.errors import WRONG, TrexError


class NoCodeLeft(TrexError):
    """All of the user's codes are spent."""


class CodeGone(TrexError):
    """The code was right a moment ago: another login has spent it, or new codes were made."""

    outcome = WRONG
