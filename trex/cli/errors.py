"""Why a message is not answered, and what to do next: no message holds any of a plaintext."""

from __future__ import annotations

from trex.errors import TrexError


class ClientError(TrexError):
    """What the user of the command reads; `hint` is the next thing to try, or ""."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class PasteError(ClientError):
    """The text does not hold one whole message."""


class CannotDecrypt(ClientError):
    """No key of this user can decrypt the message: they may answer in another way."""


class Refused(ClientError):
    """The message must not be answered by anyone."""


class StoreError(ClientError):
    """A file of Trex's own cannot be read or written."""
