"""`.auth_gpg`: what a user wrote, or whoever could write in his home."""

from __future__ import annotations

import os

from trex.authfile import HEX_DIGITS, MAX_ADDRESS, MAX_RECIPIENTS, AuthRecord, parse_record
from trex.errors import FileUnsafe, RecordError
from trex.openpgp import Gpg, _instructions

PATH, HOME = "/home/alice/.auth_gpg", "/home/alice"
MOST_LINES = 7  # of gpg's options beyond one for each recipient


def check(data: bytes) -> None:
    """A record, or one of two errors; and no recipient that gpg could take for anything else."""
    try:
        record = parse_record(data, PATH, HOME)
    except RecordError as error:
        assert 1 <= error.line <= data.count(b"\n") + 1
        assert len(str(error)) < 1000, "no more of a file than a field comes into the log"
        return
    except FileUnsafe:
        return
    check_record(record)


def check_record(record: AuthRecord) -> None:
    """See to what the rest of a login relies on."""
    assert 1 <= len(record.recipients) <= MAX_RECIPIENTS
    for key in [*record.recipients, *([record.sign_as] if record.sign_as else [])]:
        assert not key.startswith("-")
        assert key.isprintable()
        assert not set(key) & set(' <>"\\;()\t\r\n,'), key
        is_fingerprint = len(key) == 40 and HEX_DIGITS.issuperset(key)
        assert is_fingerprint or ("@" in key and len(key) <= MAX_ADDRESS)
        assert Gpg.user_id(key) == (key if is_fingerprint else f"<{key}>")
    assert isinstance(record.trust, bool)
    assert bool(record.tls_key) == bool(record.tls_certificate)
    assert all(os.path.isabs(path) for path in (record.tls_key, record.tls_certificate) if path)
    assert not record.tls_key or (record.web_qr and record.web_qr.tls)
    assert all(warning.startswith(f"{PATH}:") for warning in record.warnings)
    lines = _instructions(record, "trex user=alice").decode("utf-8").split("\n")
    names = [line.partition(" ")[0] for line in lines]
    assert names.count("recipient") == len(record.recipients)
    assert names.count("local-user") == bool(record.sign_as)
    assert names.count("trust-model") == record.trust
    assert set(names) <= {
        "", "utf8-strings", "set-filename", "recipient", "trust-model", "local-user",
        "sig-notation",
    }  # fmt: skip
    assert len(lines) <= len(record.recipients) + MOST_LINES
