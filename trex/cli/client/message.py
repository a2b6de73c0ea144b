"""A challenge, decrypted and parsed: who asks, for what, and who signed it."""

from __future__ import annotations

from datetime import UTC, datetime

from trex.cli.client.context import MOST_AHEAD, UNTIL, Context, parse_context
from trex.cli.client.gpg import UserGpg
from trex.cli.client.signature import NO_PUBLIC_KEY, read_signed
from trex.cli.client.words import is_fingerprint, is_key_id, unquoted
from trex.cli.errors import Refused
from trex.login.challenge import ALPHABET, LENGTH
from trex.openpgp.prompt import NOTATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.cli.client.gpg import Status
    from trex.cli.client.loginkeys import Held
    from trex.cli.client.packets import Sealed
    from trex.cli.client.waiting import Waiting
    from trex.openpgp.keyblock import Block

SIGNS = frozenset(ALPHABET.encode("ascii"))
VERDICTS = ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG")
NOT_OURS = "this is not a challenge from Trex, so none of its content is shown"
NOT_SHOWN = "a server can send anything, also a mail that was captured on its way to you"


class OpenedChallenge:
    """A challenge of Trex's form; its repr does not show the response.

    `signer` is the primary key's fingerprint, if the signature is good, and `unknown_signer` the
    key id, if the public key is not in the keyring.
    """

    __slots__ = ("context", "response", "signer", "unknown_signer")

    def __init__(
        self, context: Context, response: str, signer: str = "", unknown_signer: str = ""
    ) -> None:
        self.context = context
        self.response = response
        self.signer = signer
        self.unknown_signer = unknown_signer


def open_challenge(
    sealed: Sealed, keys: list[Held], waiting: Waiting, signers: tuple[Block, ...] = ()
) -> OpenedChallenge:
    """Decrypt with these keys, and check everything that does not depend on the server's name.

    `signers` may have signed it, beside the keys in the user's keyring.
    Raises CannotDecrypt if the secret key is not available, Refused for everything that is not
    exactly what Trex sends.
    """
    message = sealed.for_keys(key_id for key in keys for key_id in key.cards)
    opened = UserGpg().unwrap(message, waiting)
    if "DECRYPTION_OKAY" not in opened.said:
        from trex.cli.client.failures import why_not  # only for a failure

        raise why_not(opened)
    inside = read_signed(opened.data, signers)
    if inside.ended:
        from trex.cli.client.failures import ENDED

        raise Refused(ENDED)
    return read_challenge(inside.data, _joined(opened.said, inside.said))


def _joined(one: Status, other: Status) -> Status:
    """Return the status lines of both runs, so that a line that is in both is seen twice."""
    return {keyword: one.get(keyword, []) + other.get(keyword, []) for keyword in {**one, **other}}


def read_challenge(plaintext: bytes, said: Status) -> OpenedChallenge:
    """Check a decryption by its plaintext and gpg's status lines."""
    _check_decrypted(said)
    text = unquoted(" ".join(said["PLAINTEXT"][0][2:]), "surrogateescape")
    context = parse_context(text)
    if not context or not _is_challenge(plaintext):
        raise Refused(NOT_OURS, NOT_SHOWN)
    signer, unknown = _read_signature(said, text)
    _check_time(context.until)
    return OpenedChallenge(context, plaintext.decode("ascii").strip(), signer, unknown)


def _is_challenge(plaintext: bytes) -> bool:
    return (
        len(plaintext) == LENGTH + 1
        and plaintext.endswith(b"\n")
        and SIGNS.issuperset(plaintext[:LENGTH])
    )


def _check_decrypted(said: Status) -> None:
    """Refuse everything but one plaintext from one decryption with integrity protection."""
    once = ("BEGIN_DECRYPTION", "DECRYPTION_OKAY", "GOODMDC", "PLAINTEXT")
    other_packets = any("proc_pkt" in " ".join(words) for words in said.get("ERROR", []))
    if other_packets or any(len(said.get(keyword, [])) != 1 for keyword in once):
        raise Refused(NOT_OURS, NOT_SHOWN)


def _read_signature(said: Status, text: str) -> tuple[str, str]:
    """Return the signer's fingerprint, and the id of a signing key that is not in the keyring."""
    verdicts = [(keyword, words) for keyword in VERDICTS for words in said.get(keyword, [])]
    if not verdicts and not said.keys() & {"NEWSIG", "VALIDSIG"}:
        return "", ""
    if len(verdicts) != 1:
        raise Refused("the message has several signatures, or an incomplete one")
    keyword, words = verdicts[0]
    if keyword == "ERRSIG" and words[5:6] == [NO_PUBLIC_KEY] and is_key_id(words[0]):
        return "", words[0]
    valid = said.get("VALIDSIG", [])
    signer = valid[0][-1] if len(valid) == 1 and valid[0] else ""
    if keyword != "GOODSIG" or not is_fingerprint(signer):
        raise Refused(f"the signature is not good: gpg says {keyword}")
    data = "".join(part for parts in said.get("NOTATION_DATA", []) for part in parts)
    named = said.get("NOTATION_NAME") == [[NOTATION]]
    if not named or unquoted(data, "surrogateescape") != text:
        raise Refused("the signature and the message differ about what the challenge is for")
    return signer, ""


def _check_time(until: datetime) -> None:
    now = datetime.now(UTC)
    clocks = f"the clock here says {now.strftime(UNTIL)}"
    if until <= now:
        raise Refused(
            f"this challenge was valid until {until.strftime(UNTIL)}; {clocks}",
            "log in again for a new one; if this clock is wrong, set it",
        )
    if until > now + MOST_AHEAD:
        raise Refused(
            f"this challenge is valid until {until.strftime(UNTIL)}, too far ahead; {clocks}",
            "if this clock is wrong, set it",
        )
