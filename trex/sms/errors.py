"""Why a message with a PIN was not sent, or its state not used; see `trex.errors`."""

from trex.errors import TrexError


class SettingsError(TrexError):
    """A line of the settings, or of the map of telephone numbers, is malformed."""


class StateUnusable(TrexError):
    """What logins share cannot be read or changed: counts of messages, or spent codes."""


class NotSent(TrexError):
    """A gateway did not accept a message, or none did."""


class Uncounted(TrexError):
    """A message was not sent because it could not be counted."""
