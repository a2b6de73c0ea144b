"""The file that remembers a success: root's own, but perhaps of another program, or cut short."""

from __future__ import annotations

import re

from trex.errors import FileUnsafe
from trex.login.gracefile import NAMES, NUMBERS, PROOF, content_of, parse

PATH = "/run/trex-pam.grace/1000/x"


def check(data: bytes) -> None:
    """Whatever is read is what would be written, byte for byte, or there is one error."""
    try:
        fields = parse(data, PATH)
    except FileUnsafe as error:
        expected = "expected what Trex remembers of a success"
        assert str(error) == f"{PATH}: {expected}, found something else, or a part of it"
        return
    assert list(fields) == list(NAMES)
    assert content_of(fields) == data
    assert all(re.fullmatch(r"[0-9]{1,20}", fields[name]) for name in NUMBERS)
    assert re.fullmatch(r"[0-9a-f]{64}", fields[PROOF])
    assert not any("\n" in value for value in fields.values())
