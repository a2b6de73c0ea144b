"""gpg's status lines, its output, and the listing of a key: a gpg that fell into bad hands."""

from __future__ import annotations

from trex.authfile import AuthRecord
from trex.child import Finished
from trex.diagnosis import diagnose
from trex.errors import ACCEPTED, NOT_ASKED, OpenPGPError
from trex.openpgp import BEGIN, END, Gpg, _fingerprints, _is_complete, parse_status

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"


class StandIn(Gpg):
    """A gpg that answers every question about a key with the same text."""

    def __init__(self, listing: bytes) -> None:
        self.listing = listing

    def list_key(self, key: str) -> str:
        """Return the text."""
        return self.listing.decode("utf-8", "replace")


def check(data: bytes) -> None:
    """A message for a terminal, or an OpenPGPError that names no more than the record does.

    `data` is a byte of choices, then status lines, output and listing, NUL between them.
    """
    choices, rest = data[:1] or b"\0", data[1:]
    text, _, rest = rest.partition(b"\0")
    output, _, listing = rest.partition(b"\0")
    record = AuthRecord(1, [KEY, "alice@example.org"], trust=True)
    record.sign_as = "signer@example.org" if choices[0] & 1 else ""
    code = (0, 2, None, -9)[choices[0] >> 1 & 3]
    status = parse_status(text)
    assert all("\n" not in word for rows in status.values() for row in rows for word in row)
    assert all(isinstance(name, str) for name in _fingerprints(status))
    if _is_complete(Finished(code, output, text), status, record):
        check_message(code, output, status, record)
        return
    error = diagnose(status, record, StandIn(listing))
    assert isinstance(error, OpenPGPError)
    assert error.outcome not in (ACCEPTED, NOT_ASKED)
    assert len(str(error)) < 300 + 16 * text.count(b"FAILURE")


def check_message(
    code: int | None, output: bytes, status: dict[str, list[list[str]]], record: AuthRecord
) -> None:
    """See to what a complete message has, in other words than the code's."""
    assert code in (0, None)
    assert output.startswith(BEGIN)
    assert output.endswith(END)
    assert all(byte == 10 or 32 <= byte <= 126 for byte in output), "a terminal shows it"
    assert "END_ENCRYPTION" in status
    assert "SIG_CREATED" in status or not record.sign_as
    assert "FAILURE" not in status
