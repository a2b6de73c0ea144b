"""Status lines, output and key listing of a gpg that an attacker controls."""

from __future__ import annotations

from trex.errors import ACCEPTED, MAX_MESSAGE, NOT_ASKED, OpenPGPError
from trex.openpgp.diagnosis import diagnose
from trex.openpgp.gpg import BEGIN, END, Gpg, _is_complete, _words
from trex.openpgp.keyblock import key_id, session_key_ids
from trex.openpgp.keylist import parse_listing, parse_status
from trex.openpgp.recipients import Chosen, check_message, choose, choose_signer
from trex.system.filter import Finished

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"
Status = dict[str, list[list[str]]]


class StandIn(Gpg):
    """A gpg that has chosen these keys."""

    def __init__(self, chosen: list[Chosen], signer: Chosen | None) -> None:
        self.chosen = chosen
        self.signer = signer


def check(data: bytes) -> None:
    """A message that is safe for a terminal and for the record's keys only, or an OpenPGPError.

    `data` is a byte of choices, then status lines, output and listing, NUL between them.
    """
    choices, rest = data[:1] or b"\0", data[1:]
    text, _, rest = rest.partition(b"\0")
    output, _, listing = rest.partition(b"\0")
    signed = bool(choices[0] & 1)
    code = (0, 2, None, -9)[choices[0] >> 1 & 3]
    status = parse_status(text)
    assert all("\n" not in word for rows in status.values() for row in rows for word in row)
    try:
        keys = parse_listing(listing.decode("utf-8", "replace"))
        chosen = [choose(KEY, keys, trust=True)]
        signer = choose_signer("signer@example.org", keys) if signed else None
    except OpenPGPError as error:
        check_error(error)
        chosen, signer = [Chosen(KEY, KEY, [KEY])], Chosen(KEY, KEY, [KEY]) if signed else None
    if _is_complete(Finished(code, output, text), status, signed=signed):
        check_output(code, output, status, signed=signed)
        check_recipients(output.decode("ascii"), status, chosen, signer)
        return
    check_error(diagnose(status, StandIn(chosen, signer)))


def check_error(error: OpenPGPError) -> None:
    """Check that it refuses, and names no more than the record does."""
    assert isinstance(error, OpenPGPError)
    assert error.outcome not in (ACCEPTED, NOT_ASKED)
    assert len(str(error)) <= MAX_MESSAGE


def check_recipients(
    armored: str, status: Status, chosen: list[Chosen], signer: Chosen | None
) -> None:
    """Check that an accepted message is for these keys only."""
    considered, signed_by = _words(status, "KEY_CONSIDERED", 0), _words(status, "SIG_CREATED", 5)
    try:
        check_message(armored, considered, chosen, signer, signed_by)
    except OpenPGPError:
        return
    ids = set(session_key_ids(armored))
    assert ids
    assert ids <= {key_id(subkey) for one in chosen for subkey in one.subkeys}
    assert considered == {one.fingerprint for one in [*chosen, *([signer] if signer else [])]}


def check_output(code: int | None, output: bytes, status: Status, *, signed: bool) -> None:
    """Check independently what a complete message has."""
    assert code in (0, None)
    assert output.startswith(BEGIN)
    assert output.endswith(END)
    assert all(byte == 10 or 32 <= byte <= 126 for byte in output), "a terminal shows it"
    assert "END_ENCRYPTION" in status
    assert "SIG_CREATED" in status or not signed
    assert "FAILURE" not in status
