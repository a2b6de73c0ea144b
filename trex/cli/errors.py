"""Errors of the command, each with a hint. No message contains any part of a plaintext."""

from __future__ import annotations

from trex.errors import TrexError

PROBLEM, BAD_USAGE, INTERRUPTED = 1, 2, 130  # exit statuses; shells use 130 for SIGINT


class CommandError(TrexError):
    """What the user of the command reads: what went wrong, and what to do next, or ""."""

    exit_code = PROBLEM

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class PasteError(CommandError):
    """The text does not contain one complete message."""


class CannotDecrypt(CommandError):
    """No key of this user can decrypt the message: they may answer in another way."""


class Refused(CommandError):
    """The message must not be answered by anyone."""


class AskedAgain(Refused):
    """The ssh that asks has shown a challenge before."""


class Unconfirmed(Refused):
    """The user has to confirm something first, and could not be asked."""


class StoreError(CommandError):
    """One of the client's own files cannot be read or written."""
