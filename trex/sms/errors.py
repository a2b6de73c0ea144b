"""Why a message with a PIN was not sent; see `trex.errors`."""

from trex.errors import TrexError


class SettingsError(TrexError):
    """A line of the settings, or of the map of telephone numbers, is malformed."""


class NotSent(TrexError):
    """A message was not sent, or nobody can say whether it may be."""


class Uncounted(TrexError):
    """A message was not sent because it could not be counted."""
