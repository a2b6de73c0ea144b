"""Why a right code is not accepted; see `trex.errors`."""

from trex.errors import WRONG, TrexError


class CodeSpent(TrexError):
    """The code is right, but another login, perhaps on another host, used it first."""

    outcome = WRONG
