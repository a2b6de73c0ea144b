"""Why a code could not be accepted; see `trex.errors`."""

from trex.errors import WRONG, TrexError


class StateNotWritten(TrexError):
    """A code cannot be marked as used, so it cannot be accepted."""


class CodeSpent(TrexError):
    """The code is right, but another login, perhaps on another host, used it first."""

    outcome = WRONG
