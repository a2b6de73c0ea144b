"""One challenge, decrypted and read: who asks, what for, who signed it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trex.challenge import ALPHABET, LENGTH
from trex.cli.context import MOST_AHEAD, UNTIL, Context, parse_context
from trex.cli.errors import CannotDecrypt, Refused
from trex.cli.gpg import Gpg
from trex.cli.packets import check_packets
from trex.cli.signature import KEY_ID, NO_PUBLIC_KEY, read_signed
from trex.errors import MAX_PLACE, cut
from trex.openpgp import NOTATION

if TYPE_CHECKING:
    Status = dict[str, list[list[str]]]

CHALLENGE = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}\n".encode("ascii"))
VERDICTS = ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG")
REASONS = {  # codes of libgpg-error
    11: "the passphrase was wrong",
    62: "nobody typed the passphrase in time",
    85: "the agent has no pinentry to ask for the passphrase with",
    86: "the agent's pinentry failed",
    99: "it was cancelled",
    112: "the card is not there",
    198: "it was cancelled",
    0x8066: "the agent's pinentry has no terminal to ask for the passphrase at",
}
CODE = 0xFFFF
NUMBER = re.compile(r"[0-9]{1,10}")
FINGERPRINT = re.compile(r"[0-9A-F]{40,64}")
NOT_OURS = "this is no challenge of Trex's, so nothing that it says is shown"
NOT_SHOWN = "a server can send anything, also a mail that was captured on its way to you"


@dataclass(frozen=True)
class Message:
    """A challenge of Trex's form; the response is in no representation of it."""

    context: Context
    response: str = field(repr=False)
    signer: str = ""  # the primary key's fingerprint, if the signature is good
    unknown_signer: str = ""  # the key id, where the public key is not in the keyring


def open_message(message: bytes) -> Message:
    """Decrypt with the user's gpg-agent and judge all that can be judged without a server's name.

    Raises PasteError for what is no whole message, CannotDecrypt where no secret key is at hand,
    Refused for all that is not exactly what Trex sends.
    """
    check_packets(message)
    opened = Gpg().open_message(message)
    _check_opened(opened.said)
    inside = read_signed(opened.data)
    return read_message(inside.data, _joined(opened.said, inside.said))


def _joined(one: Status, other: Status) -> Status:
    """Return the status lines of both, so that what must be there once is not there twice."""
    return {keyword: one.get(keyword, []) + other.get(keyword, []) for keyword in {**one, **other}}


def read_message(plaintext: bytes, said: Status) -> Message:
    """Judge a decryption by its plaintext and gpg's status lines."""
    _check_decrypted(said)
    text = unquote(" ".join(said["PLAINTEXT"][0][2:]), errors="surrogateescape")
    context = parse_context(text)
    if not context or not CHALLENGE.fullmatch(plaintext):
        raise Refused(NOT_OURS, NOT_SHOWN)
    signer, unknown = _read_signature(said, text)
    _check_time(context.until)
    return Message(context, plaintext.decode("ascii").strip(), signer, unknown)


def _check_opened(said: Status) -> None:
    if "DECRYPTION_OKAY" not in said:
        raise _why_not(said)


def _check_decrypted(said: Status) -> None:
    """Refuse all but one plaintext out of one decryption with integrity protection."""
    _check_opened(said)
    once = ("BEGIN_DECRYPTION", "DECRYPTION_OKAY", "GOODMDC", "PLAINTEXT")
    other_packets = any("proc_pkt" in " ".join(words) for words in said.get("ERROR", []))
    if other_packets or any(len(said.get(keyword, [])) != 1 for keyword in once):
        raise Refused(NOT_OURS, NOT_SHOWN)


def _why_not(said: Status) -> CannotDecrypt | Refused:
    codes = [int(words[1]) & CODE for words in said.get("ERROR", [])
             if len(words) > 1 and NUMBER.fullmatch(words[1])]  # fmt: skip
    for code in codes:
        if code in REASONS:
            return Refused(f"not decrypted: {REASONS[code]}")
    if "NO_SECKEY" in said:
        ids = [words[0] for words in said["NO_SECKEY"] if words and KEY_ID.fullmatch(words[0])]
        keys = cut(", ".join(dict.fromkeys(ids)), MAX_PLACE)
        return CannotDecrypt(
            f"this message is for somebody else: the secret key {keys} is not here",
            "gpg --list-secret-keys --keyid-format long",
        )
    return Refused("gpg could not decrypt this message", "is it whole? does gpg-agent run?")


def _read_signature(said: Status, text: str) -> tuple[str, str]:
    """Return the fingerprint of the key that signed, and the id of one that is not here."""
    verdicts = [(keyword, words) for keyword in VERDICTS for words in said.get(keyword, [])]
    if not verdicts and not said.keys() & {"NEWSIG", "VALIDSIG"}:
        return "", ""
    if len(verdicts) != 1:
        raise Refused("the message has several signatures, or a part of one")
    keyword, words = verdicts[0]
    if keyword == "ERRSIG" and words[5:6] == [NO_PUBLIC_KEY] and KEY_ID.fullmatch(words[0]):
        return "", words[0]
    valid = said.get("VALIDSIG", [])
    signer = valid[0][-1] if len(valid) == 1 and valid[0] else ""
    if keyword != "GOODSIG" or not FINGERPRINT.fullmatch(signer):
        raise Refused(f"the signature is not good: gpg says {keyword}")
    data = "".join(part for parts in said.get("NOTATION_DATA", []) for part in parts)
    named = said.get("NOTATION_NAME") == [[NOTATION]]
    if not named or unquote(data, errors="surrogateescape") != text:
        raise Refused("the signature says something else than the message about what it is for")
    return signer, ""


def _check_time(until: datetime) -> None:
    now = datetime.now(UTC)
    clocks = f"the clock here says {now.strftime(UNTIL)}"
    if until <= now:
        raise Refused(
            f"this challenge was good until {until.strftime(UNTIL)}; {clocks}",
            "log in again for a new one; if this clock is wrong, set it",
        )
    if until > now + MOST_AHEAD:
        raise Refused(
            f"this challenge is good until {until.strftime(UNTIL)}, longer than any; {clocks}",
            "if this clock is wrong, set it",
        )
