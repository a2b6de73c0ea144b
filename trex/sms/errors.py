"""Why a login with a code or a PIN could not be checked; see `trex.errors`."""

from trex.errors import LIMITED, WRONG, TrexError


class PackageMissing(TrexError):
    """A library that a method needs is not installed."""


class SettingsError(TrexError):
    """A file of the administrator's says something that it may not say."""


class NotSent(TrexError):
    """A message with a PIN was not sent."""


class Uncounted(TrexError):
    """A message was not sent because it could not be counted."""


class StateNotWritten(TrexError):
    """A code cannot be marked as used, so it cannot be accepted."""


class CodeSpent(TrexError):
    """A right code, but another login, maybe on another host, has used it at the same moment."""

    outcome = WRONG


class TooManyAttempts(TrexError):
    """A limit was reached, so nothing was compared or sent."""

    outcome = LIMITED
