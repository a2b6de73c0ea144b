"""The prompt that the user reads, and the context inside the message for whoever decrypts it."""

import os
import time

from trex.login.challenge import RandomText, spoken_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from trex.openpgp.standing import Standing
    from trex.page.start import Page

MAX_CONTEXT = 255  # the file name in a literal data packet has one byte of length (RFC 4880, 5.9)
MAX_FIELD = 60
# RFC 4880, 5.2.3.16, requires a domain in a notation's name: nobody can own this one (RFC 2606).
NOTATION = "login@trex-pam.invalid"


class Encrypted(RandomText):
    """A text that gpg encrypts, and the page that shows the message until the judgement."""

    page: "Page | None" = None
    standing: "Standing | None" = None  # of its keys

    def settle(self, offered: str, right: int | None) -> None:  # noqa: ARG002 (whatever was offered)
        """Let a right response count only if its keys still do. Raises a TrexError."""
        if right is not None and self.standing:
            self.standing.check()

    def end(self) -> None:
        """End the page."""
        if self.page:
            self.page.end()


def prompt_text(user: str, message: str, where: str, seconds: int, question: str) -> str:
    """Return the prompt: an explanation, the message, its page, the time limit, the question.

    It starts with a newline, because OpenSSH's client puts `(user@host) ` before a prompt, and
    `-----BEGIN` has to be at the start of a line to be pasted into gpg. `where` is complete lines
    about the page, or "".
    """
    return (
        f"\nTrex: to log in as {user}, decrypt this message and answer with what it says.\n"
        f"{message.strip()}\n"
        f"{where}"
        f"You have {spoken_duration(seconds)}.\n"
        f"{question}"
    )


def context(
    user: str, service: str, remote_host: str, seconds: int, host_keys: "Sequence[str]" = ()
) -> str:
    """Return `trex user=... host=... service=... from=... until=<UTC> hostkeys=...`.

    It is the message's file name (and a notation, if signed), so that the plaintext is only the
    challenge. Names are percent-encoded; one that was cut ends in `*`, so that all is in 255 ASCII
    bytes. `host_keys`, at most `hostkeys.MAX_KEYS`, are never cut; without any there is no field.
    """
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    rest = f"until={until}" + (f" hostkeys={','.join(host_keys)}" if host_keys else "")
    fields = {
        "user": user,
        "host": os.uname().nodename,
        "service": service,
        "from": remote_host or "-",
    }
    longest = MAX_FIELD
    while True:
        named = " ".join(f"{key}={_cut(encoded(text), longest)}" for key, text in fields.items())
        text = f"trex {named} {rest}"
        if len(text) <= MAX_CONTEXT:
            return text
        longest -= 5


def encoded(text: str) -> str:
    """Return text as one ASCII word, with percent codes for all other UTF-8 bytes."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@:[]"
    return "".join(
        chr(byte) if byte in plain else f"%{byte:02X}"
        for byte in text.encode("utf-8", "backslashreplace")
    )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}*"
