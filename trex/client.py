"""Answering challenges from a program in Python: the rules of `trex ssh`, without a terminal.

    from trex.client import ClientError, respond

    response = respond(prompt, user="alice", host="server.example.org", host_key=key)

`docs/tools.md` has examples for paramiko, Fabric and asyncssh. `__all__` names what is public; all
else may change.
"""

from __future__ import annotations

from trex import errors as _errors
from trex.cli import errors as _inner
from trex.cli.client import answering as _answering
from trex.cli.client import packets as _packets
from trex.cli.client import paste as _paste
from trex.cli.client import target as _target

__all__ = ["ClientError", "NoChallenge", "NoKey", "NotConfirmed", "Refused", "respond"]


class ClientError(Exception):
    """There is no response, because of something on this machine: no gpg, or a damaged file.

    Its text says why. `hint` says what to do next, or is "". Neither contains anything of a
    plaintext. All other errors here are kinds of this one.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NoChallenge(ClientError):
    """The prompt has no OpenPGP message in it: it is another question."""


class NoKey(ClientError):
    """No key on this machine answers: the user may have it elsewhere."""


class NotConfirmed(ClientError):
    """The user has to confirm a name or a service first, once: `trex respond --for` asks them."""


class Refused(ClientError):
    """The challenge must not be answered by anyone: it is another server's, or not a challenge."""


# The first of a class's bases that is here says what a program gets.
_KINDS = {
    _inner.CannotDecrypt: NoKey,
    _inner.Unconfirmed: NotConfirmed,
    _inner.Refused: Refused,
}


def respond(prompt: str, *, user: str, host: str, host_key: str | bytes | None = None) -> str:
    """Return the response to the challenge in `prompt`, or raise a ClientError.

    `user` and `host` are where the program logs in; `host` is the name that the user knows, with a
    port other than 22 as `[server.example.org]:2222`. `host_key` is the connection's: the SHA-256
    fingerprint that `ssh-keygen -l` prints (`SHA256:...`), or the public key itself as in SSH's
    protocol (RFC 4253, 6.6). Without it nobody can tell whether another server's challenge was
    passed on: give it.

    gpg-agent may ask for a passphrase or a touch, so this may take minutes. Each challenge is
    answered once. Call it once for a connection: a second challenge in one connection can only be
    an attack.
    """
    try:
        if not _paste.holds_message(prompt[: _paste.MAX_TEXT]):
            raise NoChallenge("there is no OpenPGP message in this prompt")
        target = _target.named_target(user, host, host_key, quiet=True)
        sealed = _packets.read_message(prompt)
        return _answering.Answering().respond([sealed], lambda: target)
    except _errors.TrexError as error:
        kind = next((_KINDS[one] for one in type(error).__mro__ if one in _KINDS), ClientError)
        raise kind(str(error), getattr(error, "hint", "")) from None
