"""The prompt that the user reads, and the context inside the message for whoever decrypts it."""

import os
import time

from trex.login.challenge import RandomText, spoken_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from trex.openpgp.recipients import Chosen
    from trex.openpgp.standing import Standing
    from trex.page.start import Page
    from trex.page.terminal import TerminalCode

TASK = "decrypt this message and answer with what it says."
QUESTION = "Response: "
MAX_CONTEXT = 255  # the file name in a literal data packet has one byte of length (RFC 4880, 5.9)
# What is cut in a context that is too long, in this order, and how short it gets: nobody compares
# where a login comes from, which strangers may choose, and a host key proves the host. Who logs in
# is compared in any case. Together they fit beside MAX_KEYS host keys.
LEAST = {"from": 15, "host": 12, "service": 12, "user": 12}
# RFC 4880, 5.2.3.16, requires a domain in a notation's name: nobody can own this one (RFC 2606).
NOTATION = "login@trex-pam.invalid"


class Encrypted(RandomText):
    """A text that gpg encrypts, and the page that shows the message until the judgement."""

    code: "TerminalCode | None" = None  # the QR code in the prompt
    page: "Page | None" = None
    standing: "Standing | None" = None  # of its keys

    def asked(self, chosen: "list[Chosen]", told: list[str]) -> None:
        """Note whom it was encrypted to; `told` are the keys in the line of the log."""

    def prompt(self, user: str, message: str, where: str, seconds: int, question: str) -> str:
        """Return the prompt, as `prompt_text` does; `question` is "" for the usual one."""
        return prompt_text(user, message, where, seconds, question or QUESTION)

    def settle(self, offered: str, right: int | None) -> None:  # noqa: ARG002 (whatever was offered)
        """Let a right response count only if its keys still do. Raises a TrexError."""
        if right is not None and self.standing:
            self.standing.check()

    def end(self) -> None:
        """End the page, and what draws a code for a prompt that never came."""
        try:
            if self.code:
                self.code.end()
        finally:
            if self.page:
                self.page.end()


def prompt_text(  # noqa: PLR0913, PLR0917 (what there is to show)
    user: str, message: str, where: str, seconds: int, question: str, task: str = TASK
) -> str:
    """Return the prompt: an explanation, the message, its QR code, the time limit, the question.

    It starts with a newline, because OpenSSH's client puts `(user@host) ` before a prompt, and
    `-----BEGIN` has to be at the start of a line to be pasted into gpg. `where` is complete lines
    about the page, and the QR code, or "".
    """
    return (
        f"\nTrex: to log in as {user}, {task}\n"
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
    challenge. Names are percent-encoded; where all is over 255 ASCII bytes, names are cut as LEAST
    says, and end in `*`. `host_keys`, at most `hostkeys.MAX_KEYS`, are never cut; without any there
    is no field.
    """
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    rest = f" until={until}" + (f" hostkeys={','.join(host_keys)}" if host_keys else "")
    fields = {
        "user": encoded(user),
        "host": encoded(os.uname().nodename),
        "service": encoded(service),
        "from": encoded(remote_host or "-"),
    }
    named = "trex" + "".join(f" {name}={text}" for name, text in fields.items())
    excess = len(named) + len(rest) - MAX_CONTEXT
    for name, least in LEAST.items():
        whole = fields[name]
        if excess > 0 and len(whole) > least:
            fields[name] = _cut(whole, max(len(whole) - excess, least))
            excess -= len(whole) - len(fields[name])
    return "trex" + "".join(f" {name}={text}" for name, text in fields.items()) + rest


def encoded(text: str) -> str:
    """Return text as one ASCII word, with percent codes for all other UTF-8 bytes."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@:[]"
    return "".join(
        chr(byte) if byte in plain else f"%{byte:02X}"
        for byte in text.encode("utf-8", "backslashreplace")
    )


def _cut(text: str, length: int) -> str:
    return f"{text[: length - 1]}*"
