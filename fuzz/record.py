"""`.auth_gpg`, written by a user, or by anyone who can write to their home."""

from __future__ import annotations

import os

from trex.errors import FileUnsafe, RecordError
from trex.openpgp.keyring import _searched
from trex.openpgp.record import (
    HEX_DIGITS,
    MAX_ADDRESS,
    MAX_RECIPIENTS,
    MOST_PEOPLE,
    TWO,
    TWO_OF,
    AuthRecord,
    is_file,
    parse_record,
)
from trex.system.privilege import MAX_UID

PATH, HOME = "/home/alice/.auth_gpg", "/home/alice"


def check(data: bytes) -> None:
    """A record, or one of two errors; and no recipient that gpg could misinterpret."""
    try:
        record = parse_record(data, PATH, HOME)
    except RecordError as error:
        assert 1 <= error.line <= data.count(b"\n") + 1
        assert len(str(error)) < 1000, "no more of a file than a field comes into the log"
        return
    except FileUnsafe:
        return
    check_record(record)
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    two = lines[record.line - 1].strip(b" \t\r").startswith(TWO_OF.encode())
    assert record.needed == (TWO if two else 1), "what asks for two is never read as one"


def check_record(record: AuthRecord) -> None:
    """Check what the rest of a login relies on."""
    assert 1 <= len(record.recipients) <= MAX_RECIPIENTS
    for key in [*record.recipients, *([record.sign_as] if record.sign_as else [])]:
        assert not key.startswith("-")
        assert key.isprintable()
        if is_file(key):
            assert record.trust
            assert key != record.sign_as or key in record.recipients
            continue
        assert not set(key) & set(' <>"\\;()\t\r\n,'), key
        digits = key.removesuffix("!")
        is_fingerprint = len(digits) in (40, 64) and HEX_DIGITS.issuperset(digits)
        assert is_fingerprint or ("@" in key and len(key) <= MAX_ADDRESS)
        assert _searched(key) == (digits if is_fingerprint else f"<{key}>")
    if record.needed > 1:
        assert TWO <= len(record.recipients) <= MOST_PEOPLE
        assert len(set(record.recipients)) == len(record.recipients)
        assert record.web_qr is None, "no page"
        assert not record.terminal_qr, "one code has one message"
    assert isinstance(record.trust, bool)
    assert bool(record.tls_key) == bool(record.tls_certificate)
    assert all(os.path.isabs(path) for path in (record.tls_key, record.tls_certificate) if path)
    assert not record.tls_key or (record.web_qr and record.web_qr.tls)
    assert record.terminal_qr in ("", "dark", "light")
    assert not (record.terminal_qr and record.web_qr)
    assert record.uid is None or 0 <= record.uid <= MAX_UID
    assert isinstance(record.leaves_out, bool)
    assert all(warning.startswith(f"{PATH}:") for warning in record.warnings)
